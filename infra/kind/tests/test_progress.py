"""Steps show their progress, and what to do when they fail."""

import io
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from bulkhead_kind.progress import Progress, StepError


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(tmp_path: Path, screen: io.StringIO) -> Progress:
    return Progress(tmp_path, Console(file=screen, width=200), heartbeat=0.05)


def test_without_a_terminal_a_step_prints_its_start_progress_and_end(
    progress: Progress, screen: io.StringIO
) -> None:
    with progress.step("Bake"):
        deadline = time.monotonic() + 5
        while "so far" not in screen.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = screen.getvalue().splitlines()
    assert lines[0].startswith("… Bake (log: ")
    assert lines[1] == "… Bake, 0 s so far"
    assert lines[-1] == "✓ Bake 0 s"


def test_output_of_commands_goes_to_the_log_with_the_command(progress: Progress) -> None:
    with progress.step("Bake") as step:
        step.run([sys.executable, "-c", "print('bread')"])
    assert step.log.read_text().splitlines()[-1] == "bread"
    assert step.log.read_text().startswith(f"$ {sys.executable} -c")


def test_a_failed_step_shows_the_end_of_its_log_and_how_to_resume(progress: Progress) -> None:
    with pytest.raises(StepError) as failure, progress.step("Bake") as step:
        step.run(
            [sys.executable, "-c", "for i in range(99): print('line', i)\nraise SystemExit(3)"]
        )
    text = str(failure.value)
    assert "Bake failed" in text
    assert "exited with code 3" in text
    assert "line 98\n" in text
    assert "line 70\n" not in text
    assert "bake.log" in text
    assert "Fix the cause, then run the same command again." in text


def test_a_missing_program_is_named(progress: Progress) -> None:
    with (
        pytest.raises(StepError, match="no-such-program is not installed"),
        progress.step("Bake") as step,
    ):
        step.run(["no-such-program"])


def test_a_failed_step_is_not_reported_as_done(progress: Progress, screen: io.StringIO) -> None:
    with pytest.raises(StepError), progress.step("Bake"):
        raise OSError("disk full")
    assert "✓" not in screen.getvalue()


def test_on_a_terminal_steps_may_overlap(tmp_path: Path) -> None:
    screen = io.StringIO()
    progress = Progress(tmp_path, Console(file=screen, width=200, force_terminal=True))
    with progress.step("Bake"), progress.step("Brew"):
        pass
    assert "Bake" in screen.getvalue()
    assert "Brew" in screen.getvalue()
