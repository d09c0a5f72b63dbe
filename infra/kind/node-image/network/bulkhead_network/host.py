"""The node's kernel, by way of `nft` and `ip`."""

import json
import subprocess
from typing import Any

TIMEOUT = 30.0


class HostError(Exception):
    """A command failed; the text has the command and its error output."""


class Host:
    """What the agent does to the network namespace that it runs in."""

    def apply_ruleset(self, transaction: str) -> None:
        """Hand a transaction to nft, which applies all of it or nothing.

        Raises:
            HostError: nft refused it; the rules that were in force still are.
        """
        _run(["nft", "-f", "-"], transaction)

    def ip(self, *arguments: str) -> None:
        """Run `ip` for its effect.

        Raises:
            HostError: it failed.
        """
        _run(["ip", *arguments])

    def ip_json(self, *arguments: str) -> list[dict[str, Any]]:
        """Run `ip -json` and return what it shows.

        Raises:
            HostError: it failed.
        """
        return json.loads(_run(["ip", "-json", *arguments]) or "[]")


def _run(command: list[str], text: str = "") -> str:
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        raise HostError(f"{' '.join(command)}: {done.stderr.strip()[:1000]}")
    return done.stdout
