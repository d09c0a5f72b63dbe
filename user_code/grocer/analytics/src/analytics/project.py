"""The dbt project and its manifest, which Dagster reads; without Dagster.

A manifest is cached under the hash of its inputs. `python -m analytics.project` makes those of both
environments, which the image build does (see hatch_build.py). A missing manifest is made when it is
needed, which takes about five seconds.
"""

import hashlib
import json
import os
import subprocess
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path

from analytics.environment import Environment

PROJECT = Path(__file__).parent / "dbt"

DBT = Path(sysconfig.get_path("scripts")) / "dbt"
"""The dbt of this Python environment; PATH may have another one."""

CREDENTIALS = [f"GROCER_WAREHOUSE_{part}" for part in ("HOST", "USER", "PASSWORD")]
"""Variables that profiles.yml requires, and that an image build does not have."""


_FIXED = {
    "created_at": 0.0,
    "generated_at": "1970-01-01T00:00:00Z",
    "invocation_id": "00000000-0000-0000-0000-000000000000",
    "invocation_started_at": "1970-01-01T00:00:00Z",
    "run_started_at": "1970-01-01T00:00:00Z",
}
"""Fields of a manifest that differ each time, and what they become."""


class InvalidProjectError(Exception):
    """dbt cannot parse the project; `str()` has dbt's error with the file."""


def manifest(environment: Environment, project: Path = PROJECT) -> Path:
    """Return the manifest of a dbt project for an environment; make it if it is missing.

    Raises:
        InvalidProjectError: dbt cannot parse the project.
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
        # Atomic: two processes may make it at the same time.
        whole = kept.with_suffix(f".{os.getpid()}")
        whole.write_bytes(made.read_bytes())
        whole.replace(kept)
    return kept


def _hash(environment: Environment, project: Path) -> str:
    """Return the hash of all inputs of a manifest, among them what this module changes in it."""
    database = os.environ.get("GROCER_WAREHOUSE_DATABASE", "warehouse")
    digest = hashlib.sha256(f"{environment} {database} {version('dbt-core')} {_FIXED}".encode())
    for path in sorted(project.rglob("*")):
        relative = path.relative_to(project)
        if path.is_file() and relative.parts[0] not in {"target", "logs"}:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"\n{relative} {content}".encode())
    return digest.hexdigest()[:16]


def _parse(environment: Environment, project: Path, directory: Path) -> Path:
    """Make dbt write the manifest into a directory, without a connection to the warehouse."""
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
        raise InvalidProjectError(f"dbt cannot parse the project {project}:\n{done.stdout.strip()}")
    made = directory / "manifest.json"
    made.write_text(json.dumps(_without_times(json.loads(made.read_bytes())), sort_keys=True))
    return made


def _without_times(content: object) -> object:
    """Return a part of a manifest without times and ids of the call of dbt.

    So the same project gives the same manifest, and the same image.
    """
    if isinstance(content, list):
        return [_without_times(each) for each in content]
    if not isinstance(content, dict):
        return content
    return {key: _FIXED.get(key, _without_times(value)) for key, value in content.items()}


if __name__ == "__main__":
    for each in Environment:
        print(manifest(each))
