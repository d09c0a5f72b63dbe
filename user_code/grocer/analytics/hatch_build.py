# ruff: noqa: INP001 - hatchling loads this file by its path
"""Lets dbt prepare its manifests when the code location is installed, as its image does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PrepareManifests(BuildHookInterface):
    """Runs `python -m analytics.project` with the Python that the package is installed for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Make the manifests if dbt is installed; otherwise each is made when it is needed."""
        # An isolated build sees only its own requirements, by means of PYTHONPATH.
        environment = {**os.environ, "PYTHONPATH": str(Path(self.root) / "src")}
        prepare = [sys.executable, "-m", "analytics.project"]
        known = "import importlib.util as u, sys; sys.exit(not u.find_spec('dbt'))"
        if subprocess.run([sys.executable, "-c", known], env=environment, check=False).returncode:
            self.app.display_warning("dbt is not installed yet, so its manifests are not prepared.")
            return
        subprocess.run(prepare, env=environment, check=True)
