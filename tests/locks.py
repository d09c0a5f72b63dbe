"""Every image's own lock, computed anew: `python -m tests.locks`, called by `make lock`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = str(Path(sys.executable).with_name("uv"))
OPTIONS = (
    *("--quiet", "--universal", "--generate-hashes", "--python-version=3.11"),
    *("--no-header", "--no-emit-find-links", "--no-emit-index-url"),
)
BULKHEAD = "packages/bulkhead/pyproject.toml"


def sources() -> dict[Path, list[str]]:
    """Each lock, relative to the root, and the files that say what is in it.

    A code location's image holds `bulkhead` too, so its dependencies belong in that lock.
    """
    folders = [*ROOT.glob("user_code/*"), *ROOT.glob("tests/*/locations/*")]
    projects = [
        folder.relative_to(ROOT) for folder in folders if (folder / "pyproject.toml").exists()
    ]
    platform, seaweedfs = Path("images/platform"), Path("images/seaweedfs")
    return {
        platform / "requirements.lock": [f"{platform}/requirements.in", BULKHEAD],
        seaweedfs / "requirements.lock": [f"{seaweedfs}/requirements.in"],
        **{path / "requirements.lock": [f"{path}/pyproject.toml", BULKHEAD] for path in projects},
    }


def main() -> None:
    """Write them all; what stands in a lock already stays at its version where it can."""
    # A folder of wheels that this machine's pip looks into would end up in the hashes.
    environment = {key: value for key, value in os.environ.items() if key != "PIP_FIND_LINKS"}
    for lock, inputs in sources().items():
        print(lock)
        command = [UV, "pip", "compile", *OPTIONS, *inputs, "-o", str(lock)]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)


if __name__ == "__main__":
    main()
