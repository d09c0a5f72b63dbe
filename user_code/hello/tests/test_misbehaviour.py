from typing import Any

import dagster as dg
import pytest

from hello import cgroup, shapes
from hello.definitions import defs


def run(name: str, op: str | None = None, **settings: Any) -> dg.ExecuteInProcessResult:
    config = {"ops": {op or name: {"config": settings}}} if settings else {}
    job = defs.resolve_job_def(name)
    return job.execute_in_process(run_config=config, raise_on_error=False)


def metadata(result: dg.ExecuteInProcessResult, op: str) -> dict[str, Any]:
    (output,) = (
        event.step_output_data
        for event in result.events_for_node(op)
        if event.event_type == dg.DagsterEventType.STEP_OUTPUT
    )
    return {name: entry.value for name, entry in output.metadata.items()}


def steps_done(result: dg.ExecuteInProcessResult) -> list[str]:
    return [event.step_key for event in result.all_node_events if event.is_step_success]


def test_memory_is_allocated_up_to_the_amount(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert run("eat_memory", mebibytes=3, mebibytes_per_second=2).success
    printed = [line for line in capsys.readouterr().out.splitlines() if "MiB" in line]
    assert printed == ["holds 2 MiB", "holds 3 MiB"]


def test_spinning_uses_more_than_one_core_where_there_are_more() -> None:
    used = metadata(run("spin_cpu", threads=4, seconds=1), "spin_cpu")["cpu_seconds"]
    assert used > 0.2


def test_a_steady_step_prints_each_slice(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = metadata(run("steady_neighbour", seconds=0.5), "steady_neighbour")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("slice")]
    assert len(lines) == recorded["slices"] >= 1


def test_limits_of_this_machine_can_be_observed() -> None:
    assert set(metadata(run("observe_limits"), "observe_limits")) == {"memory_bytes", "cores"}


def write(root: Any, **files: str) -> None:
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_limits_are_read_from_both_versions_of_control_groups(tmp_path: Any) -> None:
    two, one = tmp_path / "two", tmp_path / "one"
    write(
        two,
        cgroup_dot_controllers="cpu",
        memory_dot_max="1048576\n",
        cpu_dot_max="30000 100000\n",
    )
    write(
        one,
        memory__memory_dot_limit_in_bytes="1048576\n",
        cpu__cpu_dot_cfs_quota_us="30000\n",
        cpu__cpu_dot_cfs_period_us="100000\n",
    )
    assert cgroup.read_limits(two) == cgroup.read_limits(one) == (1048576, 0.3)
    write(two, memory_dot_max="max\n", cpu_dot_max="max 100000\n")
    write(
        one,
        memory__memory_dot_limit_in_bytes="9223372036854771712\n",
        cpu__cpu_dot_cfs_quota_us="-1\n",
    )
    assert cgroup.read_limits(two) == cgroup.read_limits(one) == (None, None)


def test_a_sequence_has_the_configured_number_of_steps() -> None:
    result = run("sequence", steps=3)
    assert steps_done(result) == ["sequence.step_1", "sequence.step_2", "sequence.step_3"]
    assert len(steps_done(run("sequence", steps=shapes.LONGEST_SEQUENCE))) == 20


def test_a_fan_out_has_the_configured_number_of_branches() -> None:
    assert run("fan_out", steps=4).output_for_node("fan_in") == 4


def test_a_step_fails_the_configured_number_of_times_and_then_succeeds() -> None:
    result = run("retry_then_succeed", failures=2)
    assert result.success
    assert result.output_for_node("retry_then_succeed") == 2
