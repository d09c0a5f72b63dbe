"""The requests against Dagster's own web server, with a good and a broken code location."""

from collections.abc import Iterator

import pytest
import yaml
from packages.bulkhead.tests.dagster_web_server import dagster_web_server
from packages.bulkhead.tests.waiting import wait_until

from bulkhead.webserver_api import daemons, definitions, runs, workspace
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.definitions import Asset, Running
from bulkhead.webserver_api.errors import NoAnswerError, ReportedError, WebServerError
from bulkhead.webserver_api.transports import DirectTransport

CODE = """
import dagster as dg

@dg.op(config_schema={"times": dg.Field(int, default_value=1)})
def greet(context):
    context.log.info("Hello!")

@dg.job
def hello():
    greet()

@dg.asset(deps=["elsewhere"])
def orders(): ...

@dg.asset(key=["shop", "sums"], deps=[orders])
def sums(): ...

@dg.observable_source_asset
def weather(): ...

RUNNING = dg.DefaultScheduleStatus.RUNNING
nightly = dg.ScheduleDefinition(
    name="nightly", job=hello, cron_schedule="0 0 * * *", default_status=RUNNING
)
never = dg.ScheduleDefinition(name="never", job=hello, cron_schedule="0 0 * * *")

@dg.sensor(job=hello, default_status=dg.DefaultSensorStatus.RUNNING)
def files(): ...

@dg.sensor(job=hello)
def mail(): ...

defs = dg.Definitions(
    jobs=[hello], assets=[orders, sums, weather], schedules=[nightly, never], sensors=[files, mail]
)
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphQLClient]:
    home = tmp_path_factory.mktemp("dagster-home")
    (home / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        # The default one needs a daemon.
        "run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}\n"
    )
    (home / "good.py").write_text(CODE)
    (home / "broken.py").write_text("raise ValueError('a mistake of the team')\n")
    files = [
        {"python_file": {"relative_path": f"{name}.py", "location_name": name}}
        for name in ("good", "broken")
    ]
    (home / "workspace.yaml").write_text(yaml.safe_dump({"load_from": files}))
    with dagster_web_server(home) as url:
        made = GraphQLClient(DirectTransport(f"{url}/graphql"))

        def is_loaded() -> bool:
            try:
                found = workspace.load_statuses(made)
            except NoAnswerError:
                return False
            return len(found) == 2 and not any(each.is_loading for each in found.values())

        wait_until(is_loaded, 120)
        yield made


def test_a_location_is_loaded_or_says_why_not(client: GraphQLClient) -> None:
    found = workspace.load_statuses(client)
    assert found["good"].is_loaded
    assert found["good"].updated > 0
    assert not found["broken"].is_loaded
    assert "a mistake of the team" in str(found["broken"].error)
    assert not found["broken"].is_unreachable


def test_assets_say_what_they_depend_on_and_whose_they_are(client: GraphQLClient) -> None:
    assert set(definitions.assets(client, "good") or ()) == {
        Asset("elsewhere", (), is_executable=False),
        Asset("orders", ("elsewhere",), is_executable=True),
        Asset("shop/sums", ("orders",), is_executable=True),
        Asset("weather", (), is_executable=True),
    }


def test_only_schedules_and_sensors_that_run_are_returned(client: GraphQLClient) -> None:
    assert definitions.running(client, "good") == Running(("nightly",), ("files",))


def test_a_location_that_is_not_loaded_has_no_definitions(client: GraphQLClient) -> None:
    assert definitions.assets(client, "broken") is None
    assert definitions.running(client, "broken") is None
    with pytest.raises(WebServerError):
        definitions.assets(client, "gone")


def test_a_location_that_is_not_there_cannot_be_reloaded(client: GraphQLClient) -> None:
    workspace.reload_location(client, "good")
    with pytest.raises(ReportedError) as raised:
        workspace.reload_location(client, "gone")
    assert raised.value.type_name == "RepositoryLocationNotFound"


def test_a_run_is_launched_and_its_events_are_read(client: GraphQLClient) -> None:
    run = runs.launch(client, "good", "hello", tags={"team": "blue"})
    wait_until(lambda: runs.statuses(client, [run]).get(run) in runs.ENDED, 60)
    assert runs.statuses(client, [run, "of-another-database"]) == {run: "SUCCESS"}
    (newest,) = runs.newest(
        client, most=5, fields="jobName tags { key value }", filters={"statuses": ["SUCCESS"]}
    )
    assert (newest["runId"], newest["jobName"]) == (run, "hello")
    assert {"key": "team", "value": "blue"} in newest["tags"]
    events = list(runs.events(client, run, "... on MessageEvent { message stepKey eventType }"))
    assert [each["stepKey"] for each in events if each["message"] == "Hello!"] == ["greet"]
    assert "STEP_SUCCESS" in {each["eventType"] for each in events}
    assert all(each["__typename"] for each in events)


def test_a_long_log_is_read_page_by_page(
    client: GraphQLClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.launch(client, "good", "hello")
    wait_until(lambda: runs.statuses(client, [run]).get(run) in runs.ENDED, 60)
    fields = "... on MessageEvent { message }"
    whole = list(runs.events(client, run, fields))
    monkeypatch.setattr(runs, "_EVENTS_PER_PAGE", 3)
    monkeypatch.setattr(runs, "_RUNS_PER_PAGE", 1)
    assert list(runs.events(client, run, fields)) == whole
    assert runs.newest(client, most=1)[0]["runId"] == run
    assert len(runs.newest(client, most=9)) == 2


def test_a_job_that_cannot_be_launched_is_reported(client: GraphQLClient) -> None:
    with pytest.raises(ReportedError, match="job bye of code location good was not launched"):
        runs.launch(client, "good", "bye")
    config = {"ops": {"greet": {"config": {"times": "often"}}}}
    with pytest.raises(ReportedError, match=r"was not launched: .*times") as raised:
        runs.launch(client, "good", "hello", config=config)
    assert raised.value.type_name == "RunConfigValidationInvalid"


def test_a_run_that_is_not_there_has_no_events(client: GraphQLClient) -> None:
    with pytest.raises(ReportedError) as raised:
        list(runs.events(client, "gone", "... on MessageEvent { message }"))
    assert raised.value.type_name == "RunNotFoundError"


def test_daemons_that_never_started_have_no_heartbeat(client: GraphQLClient) -> None:
    found = {each.kind: each for each in daemons.daemons(client)}
    assert found["SCHEDULER"].required
    assert not found["SCHEDULER"].healthy
    assert found["SCHEDULER"].last_heartbeat is None
