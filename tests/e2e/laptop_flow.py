"""The grocer's flow on this machine, without a cluster, as `make demo` runs it.

It keeps its data in a folder of its own, so it does not touch those of `make demo`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.cluster import BUILD, ROOT

from bulkhead_demo import environments
from bulkhead_demo.paths import GROCER

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

FOLDER = BUILD / "e2e-laptop"

# The command `bulkhead-demo laptop`, with another folder.
PLAY = """
import sys
from pathlib import Path
from bulkhead_demo import paths
paths.LAPTOP = Path(sys.argv.pop(1))
from bulkhead_demo.cli import main
main(["laptop"])
"""

# Prints the first row of each statement as JSON. DuckDB is in the environment of `ingestion` only.
ASK = """
import duckdb, json, sys
database = duckdb.connect(sys.argv[1], read_only=True)
rows = [database.execute(statement).fetchone() for statement in sys.argv[2:]]
print(json.dumps([[float(cell) for cell in row] for row in rows]))
"""


@dataclass(frozen=True)
class LaptopFlow:
    """A flow that runs in the background."""

    process: subprocess.Popen[bytes]
    log: Path

    def rows(self, statements: Iterable[str], timeout: float = 1200) -> list[list[float]]:
        """Wait for the end of the flow; return the first row of each SQL statement.

        Args:
            statements: SQL for the warehouse, with numbers as results.
            timeout: of the flow, in seconds.

        Raises:
            AssertionError: the flow failed; with its output.
        """
        code = self.process.wait(timeout)
        assert code == 0, f"the flow on this machine failed:\n{self.log.read_text()}"
        python = environments.folder(GROCER / "ingestion") / "bin" / "python"
        warehouse = FOLDER / "data" / "warehouse.duckdb"
        command = [str(python), "-c", ASK, str(warehouse), *statements]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


@contextmanager
def start() -> Generator[LaptopFlow]:
    """Start the flow in the background, with empty data; terminate it at the end."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    log = FOLDER / "flow.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", PLAY, str(FOLDER)],
            cwd=ROOT,
            env={**os.environ, "CI": "true"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield LaptopFlow(process, log)
    finally:
        process.terminate()
        process.wait(60)
