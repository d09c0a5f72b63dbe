"""The names of `bulkhead.dagster_compat` exist in every version that it says is supported."""

import subprocess
from pathlib import Path

IMPORT_ALL = """
from bulkhead import dagster_compat
for name in dagster_compat._MODULES:
    getattr(dagster_compat, name)
"""


def test_every_name_exists_in_the_oldest_and_the_newest_dagster(
    python: Path, searched: str
) -> None:
    subprocess.run([python, "-c", IMPORT_ALL], env={"PYTHONPATH": searched}, check=True)
