"""Every linter of the project, one after the other: `python -m tests.lint`.

Prints a line per linter, then the output of those that failed. The exit code is 1 if any failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Linter:
    """A command and its name."""

    name: str
    command: tuple[str, ...]


def tracked(*patterns: str) -> list[str]:
    """Return the files of the project that match, relative to its root, with untracked ones."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(path for path in listing.stdout.splitlines() if (ROOT / path).is_file())


def shell_scripts() -> list[str]:
    """Return the files that start with the name of a shell, with any file name."""
    return [
        path
        for path in tracked()
        if (ROOT / path).read_bytes()[:64].split(b"\n")[0] in {b"#!/bin/sh", b"#!/usr/bin/env bash"}
    ]


def linters() -> list[Linter]:
    """Return all linters; `bulkhead-kind tools` installs those of `.tools/`."""
    tools = ROOT / ".tools"
    helm = str(tools / "helm")
    charts = [
        Linter(f"helm lint {values}", (helm, "lint", "--strict", chart, "--values", values))
        for chart, values in chart_values()
    ]
    return [
        Linter("ruff check", (str(BIN / "ruff"), "check", ".")),
        Linter("ruff format", (str(BIN / "ruff"), "format", "--check", ".")),
        Linter("basedpyright", (str(BIN / "basedpyright"), "--warnings", "--project", str(ROOT))),
        Linter("import layers", (str(BIN / "lint-imports"),)),
        Linter("yamllint", (str(BIN / "yamllint"), "--strict", *tracked("*.yaml", "*.yml"))),
        Linter("shellcheck", (str(BIN / "shellcheck"), *shell_scripts())),
        Linter("hadolint", (str(BIN / "hadolint"), *tracked("*Dockerfile"))),
        Linter("actionlint", (str(tools / "actionlint"),)),
        *charts,
    ]


def chart_values() -> list[tuple[str, str]]:
    """Return each chart with each of its values files, as `tests/manifests` renders them."""
    location = "charts/code-location"
    return [
        *(("charts/bulkhead", path) for path in tracked("charts/bulkhead/ci/*.yaml")),
        ("charts/bulkhead", "infra/kind/platform.yaml"),
        ("charts/bulkhead", "infra/demo/platform.yaml"),
        ("infra/demo/chart", "infra/demo/chart/ci/images.yaml"),
        *((location, path) for path in tracked("charts/code-location/ci/*.yaml")),
    ]


def run(linter: Linter) -> tuple[Linter, bool, str]:
    """Run a linter and print its line; returns whether it passed, and its output."""
    started = time.monotonic()
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        linter.command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    passed = done.returncode == 0
    print(f"{'ok  ' if passed else 'FAIL'} {time.monotonic() - started:5.1f} s  {linter.name}")
    return linter, passed, done.stdout + done.stderr


def main() -> int:
    """Run two linters at a time; returns the exit code."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(run, linters()))
    failures = [(linter, output) for linter, passed, output in results if not passed]
    for linter, output in failures:
        print(f"\n── {linter.name}: {' '.join(linter.command[:6])} …\n{output.rstrip()}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
