"""The dbt project, and the manifest that dbt makes of it for Dagster to read; without Dagster.

A manifest is kept under the hash of what it is made from. `python -m analytics.project` makes those
of both environments, which the build of the image does (see hatch_build.py); where it was not done,
or a file has changed since, one is made when it is asked for. That takes some five seconds.
"""

import hashlib
import os
import subprocess
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path

from analytics.environment import Environment

PROJECT = Path(__file__).parent / "dbt"

DBT = Path(sysconfig.get_path("scripts")) / "dbt"
"""The dbt of this Python; another may come first on PATH."""

CREDENTIALS = [f"GROCER_WAREHOUSE_{part}" for part in ("HOST", "USER", "PASSWORD")]
"""What profiles.yml insists on, and what is not known yet when an image is built."""


class InvalidProjectError(Exception):
    """dbt can't read the project; says which file is wrong, in dbt's words."""


def manifest(environment: Environment, project: Path = PROJECT) -> Path:
    """Return the manifest of a dbt project for an environment; make it if it is not there.

    Raises:
        InvalidProjectError: dbt can't read the project.
    """
    name = f"{environment}-{_hash(environment, project)}.json"
    kept = project / "target" / name
    if kept.exists():
        return kept
    with tempfile.TemporaryDirectory(prefix="dbt-") as directory:
        made = _parse(environment, project, Path(directory))
        if not os.access(project, os.W_OK):
            kept = Path(tempfile.mkdtemp(prefix="dbt-manifest-")) / name
        kept.parent.mkdir(exist_ok=True)
        for former in kept.parent.glob(f"{environment}-*.json"):
            former.unlink(missing_ok=True)
        # Two processes may be at it at once: each puts a whole file in place.
        whole = kept.with_suffix(f".{os.getpid()}")
        whole.write_bytes(made.read_bytes())
        whole.replace(kept)
    return kept


def _hash(environment: Environment, project: Path) -> str:
    """Return a hash of all that a manifest depends on."""
    database = os.environ.get("GROCER_WAREHOUSE_DATABASE", "warehouse")
    digest = hashlib.sha256(f"{environment} {database} {version('dbt-core')}".encode())
    for path in sorted(project.rglob("*")):
        relative = path.relative_to(project)
        if path.is_file() and relative.parts[0] not in {"target", "logs"}:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"\n{relative} {content}".encode())
    return digest.hexdigest()[:16]


def _parse(environment: Environment, project: Path, directory: Path) -> Path:
    """Let dbt write the manifest into a directory; connects to nothing."""
    done = subprocess.run(
        [
            *(str(DBT), "--quiet", "--no-use-colors", "--log-level-file", "none"),
            *("parse", "--no-partial-parse", "--target", environment),
            *("--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target-path", str(directory)),
        ],
        env={**dict.fromkeys(CREDENTIALS, "unknown"), **os.environ, "DBT_LOG_FORMAT": "text"},
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InvalidProjectError(f"dbt can't read the project {project}:\n{done.stdout.strip()}")
    return directory / "manifest.json"


if __name__ == "__main__":
    for each in Environment:
        print(manifest(each))
