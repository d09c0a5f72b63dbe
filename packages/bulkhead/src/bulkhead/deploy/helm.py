"""Helm, as `bulkhead deploy` calls it: the release of one code location."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from bulkhead.kube.objects import Object

_TIMEOUT_SECONDS: Final = 120.0
_KEPT_REVISIONS: Final = 50  # as many as records

# Statuses of a release whose Helm process ended before it was done.
_UNFINISHED: Final = frozenset({"pending-install", "pending-upgrade", "pending-rollback"})


class HelmError(Exception):
    """Helm failed; `str()` has Helm's own message."""


@dataclass(frozen=True, slots=True)
class Release:
    """The release of a code location as it should be."""

    name: str
    namespace: str
    chart: str
    chart_version: str | None
    values: Sequence[Path]
    further_values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a release, as Helm recorded it."""

    number: int
    status: str
    description: str

    @property
    def is_deployed(self) -> bool:
        """Whether this revision is the one that runs."""
        return self.status == "deployed"

    @property
    def is_unfinished(self) -> bool:
        """Whether the Helm process that made it ended before it was done, or still runs."""
        return self.status in _UNFINISHED


class Helm:
    """The `helm` command for one cluster. Releases are stored in ConfigMaps, not in Secrets."""

    def __init__(self, context: str | None = None, program: str = "helm") -> None:
        """Prepare; nothing is called yet.

        Args:
            context: Of the kubeconfig; None takes the current one.
            program: The name or path of the command.
        """
        self._command = [program, *(["--kube-context", context] if context else [])]

    def render(self, release: Release) -> list[Object]:
        """Return the objects of a release, without the cluster; raises HelmError."""
        text = self._run("template", release.name, *self._arguments(release), stdin=_json(release))
        return [each for each in yaml.load_all(text, Loader=_LOADER) if each]

    def upgrade(self, release: Release, description: str) -> None:
        """Install or upgrade a release; does not wait for its pods. Raises HelmError."""
        self._run(
            *("upgrade", "--install", release.name),
            *self._arguments(release),
            *("--description", description, "--history-max", str(_KEPT_REVISIONS)),
            stdin=_json(release),
        )

    def rollback(self, name: str, namespace: str, revision: int) -> None:
        """Make a new revision that is like an earlier one; raises HelmError."""
        self._run(
            *("rollback", name, str(revision), "--namespace", namespace),
            *("--history-max", str(_KEPT_REVISIONS)),
        )

    def uninstall(self, name: str, namespace: str) -> None:
        """Remove a release; raises HelmError."""
        self._run("uninstall", name, "--namespace", namespace)

    def history(self, name: str, namespace: str) -> list[Revision]:
        """Return the revisions of a release, oldest first; empty if it is not installed."""
        try:
            text = self._run("history", name, "--namespace", namespace, "--output", "json")
        except HelmError as error:
            if "not found" in str(error):
                return []
            raise
        found: list[dict[str, Any]] = json.loads(text)
        return [
            Revision(int(each["revision"]), str(each["status"]), str(each.get("description", "")))
            for each in found
        ]

    def _arguments(self, release: Release) -> list[str]:
        version = ["--version", release.chart_version] if release.chart_version else []
        files = [argument for path in release.values for argument in ("--values", str(path))]
        return [
            release.chart,
            *version,
            "--namespace",
            release.namespace,
            *files,
            "--values",
            "-",
        ]

    def _run(self, *arguments: str, stdin: str | None = None) -> str:
        try:
            done = subprocess.run(
                [*self._command, *arguments],
                env={**os.environ, "HELM_DRIVER": "configmap"},
                input=stdin or "",
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise HelmError(
                f"{self._command[0]} is not installed. Install Helm 3 or 4, or put it on PATH."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise HelmError(
                f"`helm {arguments[0]}` timed out after {_TIMEOUT_SECONDS:.0f} s."
            ) from error
        if done.returncode:
            reason = done.stderr.strip().removeprefix("Error: ") or f"exit code {done.returncode}"
            raise HelmError(f"`helm {arguments[0]}` failed: {reason}")
        return done.stdout


_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _json(release: Release) -> str:
    return json.dumps(release.further_values)
