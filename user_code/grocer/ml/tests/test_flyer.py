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
    told = messages(tmp_path)
    assert [message["method"] for message in told] == [
        *("opened", "report_asset_materialization", "closed")
    ]
    assert {message["__dagster_pipes_version"] for message in told} == {"0.1"}
    assert told[1]["params"]["metadata"] == {
        "flyer": {"type": "md", "raw_value": FLYER},
        "days": {"type": "int", "raw_value": 5},
    }


def test_a_forecast_without_rows_is_refused_and_dagster_is_told(tmp_path: Path) -> None:
    (tmp_path / "predicted_orders.csv").write_text(ROWS.splitlines(keepends=True)[0])
    done = run_script(tmp_path)
    assert done.returncode == 1
    assert "predicted_orders.csv has no rows" in done.stderr
    closed = messages(tmp_path)[-1]
    assert closed["method"] == "closed"
    assert "no rows" in closed["params"]["exception"]["message"]


@pytest.fixture
def neighbour(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
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


def test_the_step_starts_the_script_itself_and_dagster_hears_of_it() -> None:
    assert metadata(materialize(programs.Subprocess())) == {"flyer": FLYER, "days": 5}


def test_the_neighbour_is_asked_by_files_more_than_once_and_dagster_hears_the_same(
    tmp_path: Path, neighbour: subprocess.Popen[bytes]
) -> None:
    asked = programs.Neighbour(shared=str(tmp_path), patience_seconds=20)
    for _ in range(2):
        assert metadata(materialize(asked)) == {"flyer": FLYER, "days": 5}
    assert neighbour.poll() is None
    assert not (tmp_path / "go").exists()


def test_the_neighbour_ends_soon_after_it_is_told_to(
    tmp_path: Path, neighbour: subprocess.Popen[bytes]
) -> None:
    asked = programs.Neighbour(shared=str(tmp_path), patience_seconds=20)
    assert materialize(asked).success  # it is up and listens to signals
    neighbour.terminate()
    assert neighbour.wait(timeout=10) == 0


def test_a_neighbour_that_fails_fails_the_step_with_its_exit_code(
    tmp_path: Path, neighbour: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "flyer.md").mkdir()  # where the flyer shall be written
    asked = programs.Neighbour(shared=str(tmp_path), patience_seconds=20)
    said = failure(materialize(asked))
    assert "flyer.sh ended with exit code" in said
    assert neighbour.poll() is None


def test_a_neighbour_that_is_not_there_is_waited_for_and_then_named(tmp_path: Path) -> None:
    asked = programs.Neighbour(shared=str(tmp_path), patience_seconds=0.3)
    said = failure(materialize(asked))
    assert "has not answered" in said
    assert "GROCER_FLYER_IMAGE" in said
    assert not (tmp_path / "go").exists()


def test_an_answer_of_an_earlier_attempt_is_not_taken_for_this_one(tmp_path: Path) -> None:
    (tmp_path / "done").write_text("0")
    asked = programs.Neighbour(shared=str(tmp_path), patience_seconds=0.3)
    assert "has not answered" in failure(materialize(asked))


def test_the_neighbour_stands_in_the_pod_that_dagster_makes_of_the_tags() -> None:
    from dagster_k8s.job import (
        DagsterK8sJobConfig,
        construct_dagster_k8s_job,
        get_user_defined_k8s_config,
    )

    tags = {
        name: json.dumps(value) for name, value in programs.neighbour_tags("ml@sha256:1").items()
    }
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
    assert programs.neighbour_tags(None) == {}
