"""An installation whose web server is Dagster's own schema over a real event log.

So a question that the schema does not know fails a test, and so does an event that is read
otherwise than Bulkhead writes it.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.execution.plan.objects import (
    ErrorSource,
    StepFailureData,
    StepSuccessData,
    UserFailureData,
)
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test, freeze_time
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_graphql.schema import create_schema
from packages.bulkhead.tests.json_server import kubeconfig_to

from bulkhead.admin import usage
from bulkhead.kube.api import KubernetesApiError
from bulkhead.kube.quantities import parse_bytes
from bulkhead.steps import reports
from bulkhead.steps.usage import Usage
from bulkhead.steps.verdicts import Cause, Verdict
from bulkhead.steps.worker import _report
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.transports import ProxyTransport

MIB = 2**20
GRAPHQL = "/api/v1/namespaces/bulkhead/services/bulkhead-webserver:http/proxy/graphql"
BEGIN = datetime(2030, 1, 1, tzinfo=timezone.utc)


class Run:
    """A run, to which a test adds what happens in it; memory in Mi, time in seconds."""

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        self.id = run.run_id
        self._instance = instance
        self._run = run
        self._now = BEGIN

    def step(
        self,
        key: str,
        memory: int,
        limit: int | None = 512,
        *,
        cpu: float = 2,
        seconds: float = 20,
        end: str | None = "STEP_SUCCESS",
        oom_kills: int = 0,
    ) -> None:
        """Begin a step, end it with that event if any, and have it say what it used."""
        self._write("STEP_WORKER_STARTED", key, EngineEventData())
        self._now += timedelta(seconds=seconds)
        if end == "STEP_SUCCESS":
            self._write(end, key, StepSuccessData(duration_ms=1000.0 * seconds))
        elif end == "STEP_FAILURE":
            self._write(end, key, StepFailureData(None, None, ErrorSource.USER_CODE_ERROR))
        used = Usage(memory * MIB, limit and limit * MIB, cpu, oom_kills)
        with freeze_time(self._now):
            _report(used, self._instance, self._run, key)

    def kill(
        self, key: str, limit: str | None, *, repeats: bool = False, cause: str = "OutOfMemory"
    ) -> None:
        """Begin a step and have its pod killed; then the step is repeated, or has failed."""
        self._write("STEP_WORKER_STARTED", key, EngineEventData())
        memory = parse_bytes(limit) if limit else None
        metadata = reports.metadata(Verdict(Cause(cause), key, memory_limit=memory))
        if repeats:
            self._write("ENGINE_EVENT", key, EngineEventData(metadata=metadata))
        else:
            said = UserFailureData(label=cause, description=None, metadata=metadata)
            failure = StepFailureData(None, said, ErrorSource.FRAMEWORK_ERROR)
            self._write("STEP_FAILURE", key, failure)

    def say(self, text: str) -> None:
        """Write a line that is no event, as a step's code does with its logger."""
        self._instance.report_engine_event(text, self._run)

    def _write(self, kind: str, key: str, data: Any) -> None:
        with freeze_time(self._now):
            self._instance.report_dagster_event(
                dg.DagsterEvent(
                    event_type_value=kind,
                    job_name=self._run.job_name,
                    step_key=key,
                    event_specific_data=data,
                ),
                self._run.run_id,
            )


class Installation:
    """A release `bulkhead` behind an API server, in place of a `KubernetesApi`."""

    def __init__(self, instance: dg.DagsterInstance, context: Any) -> None:
        self.questions: list[Mapping[str, str]] = []
        self._instance = instance
        self._context = context
        self._schema = create_schema()
        self._lock = threading.Lock()

    def run(self, location: str = "hello", job: str = "etl", status: str = "SUCCESS") -> Run:
        """Add a run, newer than those before."""
        server = GrpcServerCodeLocationOrigin(host="server", port=1, location_name=location)
        origin = RemoteJobOrigin(RemoteRepositoryOrigin(server, "__repository__"), job)
        run = create_run_for_test(
            self._instance,
            job,
            status=dg.DagsterRunStatus(status),
            remote_job_origin=origin,
        )
        return Run(self._instance, run)

    def read(self, location: str | None = None, job: str | None = None, runs: int = 50) -> Any:
        return usage.read(self.client, location=location, job=job, most=runs)

    @property
    def client(self) -> GraphQLClient:
        return GraphQLClient(ProxyTransport(self))

    # --- what ProxyTransport needs to read ---

    def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        if path != GRAPHQL:
            raise KubernetesApiError(f"not found: {path}", 404)
        with self._lock:
            self.questions.append(query)
            result = self._schema.execute(
                query["query"],
                context_value=self._context,
                variable_values=json.loads(query["variables"]),
            )
        errors = {"errors": [{"message": str(each)} for each in result.errors or ()]}
        return {"data": result.data, **(errors if result.errors else {})}


@pytest.fixture(scope="session")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkspaceProcessContext]:
    home = tmp_path_factory.mktemp("dagster-home")
    with (
        dg.DagsterInstance.local_temp(str(home)) as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
    ):
        yield context


@pytest.fixture
def installation(web_server: WorkspaceProcessContext) -> Iterator[Installation]:
    yield Installation(web_server.instance, web_server.create_request_context())
    web_server.instance.wipe()


@pytest.fixture
def kubeconfig(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Serve the installation over HTTP and let KUBECONFIG name it."""

    def answer(path: str, query: dict[str, str]) -> tuple[int, Any]:
        try:
            return 200, installation.get(path, query)
        except KubernetesApiError as error:
            return error.status or 500, {"message": str(error)}

    with kubeconfig_to(answer, tmp_path, monkeypatch) as file:
        yield file
