"""The image registry beside the cluster."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.e2e.push_repository import HOOKS

if TYPE_CHECKING:
    from collections.abc import Generator

CONTAINER = "bulkhead-registry"


@contextmanager
def stopped() -> Generator[None]:
    """Stop the registry's container, and start it at the end of the block."""
    _engine("stop", "--time", "1", CONTAINER)
    try:
        yield
    finally:
        _engine("start", CONTAINER)


def _engine(*arguments: str) -> None:
    """Run the container engine, with the environment that the hooks of `make up` give it."""
    lines = (HOOKS / "post-receive").read_text().splitlines()
    exports = [line for line in lines if line.startswith("export ")]
    engine = "podman" if any("podman" in line for line in exports) else "docker"
    script = "\n".join([*exports, f'exec {engine} "$@"'])
    subprocess.run(["sh", "-c", script, "sh", *arguments], check=True, env=dict(os.environ))
