"""Helm, as an admin or a deployer runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from tests.e2e.cluster import KUBECONFIG, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLATFORM_CHART = ROOT / "charts" / "bulkhead"
LOCATION_CHART = ROOT / "charts" / "code-location"


class HelmError(AssertionError):
    """A helm command failed; the message is its output."""


@dataclass(frozen=True)
class Helm:
    """Helm with one identity: a kubeconfig, and environment variables."""

    kubeconfig: Path = KUBECONFIG
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def run(self, *arguments: str, timeout: float = 300) -> str:
        """Run one command and return its output.

        Raises:
            HelmError: it failed; with the command and its output.
        """
        command = [_helm(), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env={**os.environ, **self.environment},
        )
        if done.returncode:
            raise HelmError(f"{' '.join(command[3:])}\n{done.stdout}{done.stderr}")
        return done.stdout

    def apply(
        self,
        release: str,
        chart: Path,
        namespace: str,
        values: Mapping[str, Any],
        *,
        wait: bool = True,
        create_namespace: bool = False,
        timeout: int = 240,
    ) -> str:
        """Install or upgrade a release so that its values are exactly these.

        Args:
            release: name of the release.
            chart: folder of the chart.
            namespace: where the release is recorded.
            values: all values that differ from the chart's defaults.
            wait: until its objects are ready, for at most `timeout` seconds.
            create_namespace: create the namespace first.
            timeout: seconds.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(dict(values), file)
            file.flush()
            arguments = ["upgrade", "--install", release, str(chart), "--namespace", namespace]
            arguments += ["--values", file.name, "--timeout", f"{timeout}s"]
            arguments += ["--wait"] if wait else []
            arguments += ["--create-namespace"] if create_namespace else []
            return self.run(*arguments, timeout=timeout + 60)

    def uninstall(self, release: str, namespace: str, *, wait: bool = True) -> None:
        """Remove a release if it exists."""
        arguments = ["uninstall", release, "--namespace", namespace, "--ignore-not-found"]
        self.run(*arguments, *(["--wait"] if wait else []))

    def values(self, release: str, namespace: str) -> dict[str, Any]:
        """The values that its installer gave to a release."""
        output = self.run("get", "values", release, "--namespace", namespace, "--output", "json")
        return json.loads(output) or {}


def _helm() -> str:
    """The `helm` of this checkout, or else the one on PATH."""
    given = os.environ.get("HELM")
    own = ROOT / ".tools" / "helm"
    found = given or (str(own) if own.exists() else shutil.which("helm"))
    if not found:
        raise FileNotFoundError("no helm: neither $HELM, .tools/helm nor one on PATH")
    return found
