"""Computes the lock of every image: `python -m tests.locks`, called by `make lock`."""

from __future__ import annotations

import sys
from pathlib import Path

from bulkhead.scaffold import lock

ROOT = Path(__file__).resolve().parent.parent
UV = str(Path(sys.executable).with_name("uv"))


def sources() -> dict[Path, list[str]]:
    """Return each lock, relative to the root, with its input files.

    A code location's image has `bulkhead` too, so the lock has its dependencies.
    """
    parents = ("user_code", "user_code/grocer", "tests/*/locations")
    locations = [path for each in parents for path in ROOT.glob(f"{each}/*/pyproject.toml")]
    projects = [path.parent.relative_to(ROOT) for path in locations]
    installer = Path("packages/bulkhead/src/bulkhead/images/dependencies")
    platform, seaweedfs = (Path("images") / name for name in ("platform", "seaweedfs"))
    return {
        installer / "requirements.lock": [f"{installer}/requirements.in"],
        platform / "requirements.lock": [f"{platform}/requirements.in", lock.BULKHEAD],
        seaweedfs / "requirements.lock": [f"{seaweedfs}/requirements.in"],
        **{
            path / "requirements.lock": [f"{path}/pyproject.toml", lock.BULKHEAD]
            for path in projects
        },
    }


def main() -> None:
    """Write all locks; locked versions stay where possible."""
    for path, inputs in sources().items():
        print(path)
        try:
            lock.write(UV, ROOT, path, inputs)
        except lock.LockError as error:
            sys.exit(f"{path}: {error}")


if __name__ == "__main__":
    main()
