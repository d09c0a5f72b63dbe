import subprocess
import sys
from pathlib import Path

import pytest

from analytics.exclusive import exclusive

HOLD = """
import sys
from pathlib import Path
from analytics.exclusive import exclusive

with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def held_by_another(file: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_file_that_another_process_uses_is_waited_for_and_then_named(tmp_path: Path) -> None:
    file = tmp_path / "new" / "warehouse.duckdb"
    with (
        held_by_another(file) as other,
        pytest.raises(TimeoutError, match=r"warehouse\.duckdb has been in use .* for 0\.2 s"),
        exclusive(file, timeout_seconds=0.2),
    ):
        pytest.fail("two processes at once")
    assert other.returncode == 0


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with held_by_another(file) as other:
        other.kill()
        with exclusive(file, timeout_seconds=10):
            pass


def test_the_lock_is_free_after_the_block_also_after_an_error(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with pytest.raises(ZeroDivisionError), exclusive(file):
        _ = 1 / 0
    with exclusive(file, timeout_seconds=0):
        pass
