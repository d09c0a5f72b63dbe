import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ml import programs

ROWS = """\
order_date,weekday,orders,lower,upper
2018-01-01,Monday,90.4,80.0,99.0
2018-01-02,Tuesday,400.0,380.0,420.0
2018-01-03,Wednesday,1000.2,900.0,1100.0
2018-01-04,Thursday,395.0,380.0,421.0
2018-01-05,Friday,500.0,400.0,600.0
2018-01-06,Saturday,700.5,650.0,750.0
"""
FLYER = """\
# Many hands, please

Our five busiest days:

- **Tuesday 2018-01-02**: about 400 orders, perhaps 420
- **Wednesday 2018-01-03**: about 1000 orders, perhaps 1100
- **Thursday 2018-01-04**: about 395 orders, perhaps 421
- **Friday 2018-01-05**: about 500 orders, perhaps 600
- **Saturday 2018-01-06**: about 701 orders, perhaps 750
"""


@dg.asset(name="store_flyer")
def flyer_of_these_rows(
    context: dg.AssetExecutionContext, program: programs.Program
) -> dg.MaterializeResult:
    with program.folder() as folder:
        (folder / "predicted_orders.csv").write_text(ROWS)
        return program.run(context, folder).get_materialize_result()


def messages(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "messages").read_text().splitlines()]


def run_script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(programs.FLYER), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


def test_the_five_busiest_days_are_listed_in_the_order_they_come(tmp_path: Path) -> None:
    (tmp_path / "predicted_orders.csv").write_text(ROWS)
    assert run_script(tmp_path).returncode == 0
    assert (tmp_path / "flyer.md").read_text() == FLYER


def test_the_script_speaks_the_pipes_protocol(tmp_path: Path) -> None:
    (tmp_path / "predicted_orders.csv").write_text(ROWS)
    run_script(tmp_path)
    sent = messages(tmp_path)
    assert [message["method"] for message in sent] == [
        *("opened", "report_asset_materialization", "closed")
    ]
    assert {message["__dagster_pipes_version"] for message in sent} == {"0.1"}
    assert sent[1]["params"]["metadata"] == {
        "flyer": {"type": "md", "raw_value": FLYER},
        "days": {"type": "int", "raw_value": 5},
    }


def test_a_forecast_without_rows_is_rejected_and_dagster_gets_the_reason(tmp_path: Path) -> None:
    (tmp_path / "predicted_orders.csv").write_text(ROWS.splitlines(keepends=True)[0])
    done = run_script(tmp_path)
    assert done.returncode == 1
    assert "predicted_orders.csv has no rows" in done.stderr
    closed = messages(tmp_path)[-1]
    assert closed["method"] == "closed"
    assert "no rows" in closed["params"]["exception"]["message"]


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The script as it waits in the container beside the step's."""
    # Where this process ignores SIGINT, as in a script's background, Dagster has it ignore SIGTERM,
    # too; the script would inherit that.
    as_in_a_container = ["env", "--default-signal"]
    command = [*as_in_a_container, "sh", str(programs.FLYER), "--serve", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        yield process
        process.terminate()


def materialize(program: programs.Program) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [flyer_of_these_rows], resources={"program": program}, raise_on_error=False
    )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = result.get_step_failure_events()
    return event.step_failure_data.error_display_string


def test_the_step_runs_the_script_and_dagster_gets_its_report() -> None:
    assert metadata(materialize(programs.Subprocess())) == {"flyer": FLYER, "days": 5}


def test_the_sidecar_handles_several_requests_and_dagster_gets_the_same_report(
    tmp_path: Path, sidecar: subprocess.Popen[bytes]
) -> None:
    program = programs.Sidecar(shared=str(tmp_path), timeout_seconds=20)
    for _ in range(2):
        assert metadata(materialize(program)) == {"flyer": FLYER, "days": 5}
    assert sidecar.poll() is None
    assert not (tmp_path / "go").exists()


def test_the_sidecar_ends_soon_after_sigterm(
    tmp_path: Path, sidecar: subprocess.Popen[bytes]
) -> None:
    program = programs.Sidecar(shared=str(tmp_path), timeout_seconds=20)
    assert materialize(program).success  # it is up and listens to signals
    sidecar.terminate()
    assert sidecar.wait(timeout=10) == 0


def test_a_sidecar_that_fails_fails_the_step_with_its_exit_code(
    tmp_path: Path, sidecar: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "flyer.md").mkdir()  # where the flyer shall be written
    program = programs.Sidecar(shared=str(tmp_path), timeout_seconds=20)
    message = failure(materialize(program))
    assert "flyer.sh exited with code" in message
    assert sidecar.poll() is None


def test_a_missing_sidecar_is_waited_for_and_then_named(tmp_path: Path) -> None:
    program = programs.Sidecar(shared=str(tmp_path), timeout_seconds=0.3)
    message = failure(materialize(program))
    assert "did not respond" in message
    assert "GROCER_FLYER_IMAGE" in message
    assert not (tmp_path / "go").exists()


def test_the_response_to_an_earlier_attempt_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "done").write_text("0")
    program = programs.Sidecar(shared=str(tmp_path), timeout_seconds=0.3)
    assert "did not respond" in failure(materialize(program))


def test_the_sidecar_is_in_the_pod_that_dagster_builds_from_the_tags() -> None:
    from dagster_k8s.job import (
        DagsterK8sJobConfig,
        construct_dagster_k8s_job,
        get_user_defined_k8s_config,
    )

    tags = {name: json.dumps(value) for name, value in programs.sidecar_tags("ml@sha256:1").items()}
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(job_image="ml@sha256:1", dagster_home="/opt/dagster/home"),
        args=["step"],
        job_name="step",
        user_defined_k8s_config=get_user_defined_k8s_config(tags),
    )
    pod = job.to_dict()["spec"]["template"]["spec"]
    (step,), (sidecar,) = pod["containers"], pod["init_containers"]
    assert sidecar["image"] == "ml@sha256:1"
    assert sidecar["restart_policy"] == "Always"  # ends with the step's container
    assert sidecar["command"] == ["sh", str(programs.FLYER), "--serve", "/shared"]
    assert sidecar["resources"]["limits"] == {"cpu": "50m", "memory": "32Mi"}
    assert sidecar["security_context"]["capabilities"]["drop"] == ["ALL"]
    for container in (step, sidecar):
        assert "/shared" in [mount["mount_path"] for mount in container["volume_mounts"]]
    assert "shared" in [volume["name"] for volume in pod["volumes"]]


def test_without_an_image_there_is_no_neighbour() -> None:
    assert programs.sidecar_tags(None) == {}
