"""Runs the command of the load check's pod, as a process."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packages.bulkhead.tests.test_location.conftest import SEARCHED

from bulkhead import names
from bulkhead.code_location import report_lines

COMMAND = ("-m", "bulkhead.code_location.report")
MARK = "shop-load-check-4be1ff00-0a1b2c3d"
SECONDS = 60


@dataclass(frozen=True)
class Reported:
    """What a process printed, and how it ended."""

    exit_code: int
    log: str

    @property
    def content(self) -> dict[str, Any] | None:
        return report_lines.content(MARK, self.log)

    @property
    def summary(self) -> dict[str, Any]:
        assert self.exit_code == 0, self.log
        assert self.content
        return self.content["summary"]

    @property
    def error(self) -> dict[str, str]:
        assert self.exit_code == 1, self.log
        assert self.content
        return self.content["error"]

    @property
    def printed(self) -> str:
        """The log without the report."""
        return report_lines.without(MARK, self.log)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process that finds Bulkhead and the sample projects."""
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(map(str, SEARCHED)),
        "PYTHONUNBUFFERED": "1",
        names.CODE_LOCATION_ENV: "shop",
        report_lines.MARK_ENV: MARK,
        **settings,
    }


def report(folder: Path, settings: Mapping[str, str], python: Path | None = None) -> Reported:
    """Load what the settings name, with a folder as the working directory."""
    done = subprocess.run(
        [python or sys.executable, *COMMAND],
        cwd=folder,
        env=environment(settings),
        # The log of a pod has both.
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    return Reported(done.returncode, done.stdout.decode(errors="replace"))


def report_of(source: str, folder: Path, **settings: str) -> Reported:
    """Load a module with this source."""
    (folder / "project.py").write_text(source)
    return report(folder, {names.DEFINITIONS_MODULE_ENV: "project", **settings})
