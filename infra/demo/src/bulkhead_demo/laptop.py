"""The demo without a cluster: `dagster dev`, with each code location in its own Python.

All of its files are in `build/demo`: Dagster's home, the data, the logs of the programs.
"""

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import yaml

from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.transports import DirectTransport
from bulkhead_demo import bad_day, environments, figures, flow, observed
from bulkhead_demo.flow import Timeouts, Watch
from bulkhead_demo.paths import GROCER, LAPTOP, LOCATIONS
from bulkhead_demo.processes import Processes
from bulkhead_demo.screen import Screen
from bulkhead_kind import process
from bulkhead_kind.paths import REPOSITORY
from bulkhead_kind.progress import Progress

HOST = "127.0.0.1"
USUAL_PORT = 3000
HIGHEST_PORT = 3020
CAMPAIGNS_SECONDS = 60.0
ANSWER_SECONDS = 30.0

ADDRESS = LAPTOP / "open.json"
"""File with the address of the running demo, which holds a lock on it."""

QUIET = {
    "AIRBYTE_OFFLINE_MODE": "1",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}
"""Environment variables that turn off the telemetry of the tools."""

INSTANCE = {
    "telemetry": {"enabled": False},
    # A run starts after at most one second; the default is five.
    "run_coordinator": {
        "module": "dagster.core.run_coordinator",
        "class": "QueuedRunCoordinator",
        "config": {"dequeue_interval_seconds": 1},
    },
}
"""dagster.yaml; all other settings are Dagster's defaults: files in its home."""

ONE_PROCESS: Mapping[str, Any] = {"execution": {"config": {"in_process": {}}}}
"""Configuration of a run whose steps share a process, which saves imports."""


class LaptopError(Exception):
    """The demo cannot start; `str()` says why and what to do."""


class _LocalTransport(DirectTransport):
    """Waits longer for an answer: code locations that load leave the web server little CPU."""

    def send(self, document: str, variables: Mapping[str, Any], timeout: float) -> object:
        return super().send(document, variables, max(timeout, ANSWER_SECONDS))


def web_server(url: str) -> GraphQLClient:
    """Return the client of a web server on this machine; `url` is the address of its UI."""
    return GraphQLClient(_LocalTransport(f"{url}/graphql"))


def run_demo(progress: Progress, *, fresh: bool, stay: bool) -> None:
    """Create missing environments, start everything, run the flow, print the figures.

    Args:
        progress: shows the steps; its console shows the flow.
        fresh: start with empty data.
        stay: keep the Dagster UI running until Ctrl-C.

    Raises:
        LaptopError: the demo runs already, or the campaign service does not respond.
        StepError: an environment cannot be created.
        FlowError: a code location is not loaded, or the flow did not finish.
        ProcessError: one of the programs ended.
    """
    with only_demo() as address, Processes(LAPTOP / "logs") as processes:
        if fresh:
            for kept in ("home", "data"):
                shutil.rmtree(LAPTOP / kept, ignore_errors=True)
        pythons = _environments(progress)
        url = _start(progress, processes, pythons)
        client = web_server(url)
        address.write_text(json.dumps({"url": url}))
        progress.print(f"Dagster UI: [bold]{url}[/]")
        with Screen(progress.console) as screen:
            watch = Watch(client, screen, check=processes.check, config=ONE_PROCESS, url=url)
            flow.run_flow(watch)
        figures.show(progress.console, observed.figures(client))
        progress.print(f"\nSee the assets in the Dagster UI: [bold]{url}/asset-groups[/]")
        if stay:
            progress.print(
                "The Dagster UI runs until Ctrl-C. "
                "Try next, in another terminal: make demo-bad-day ARGS=--laptop"
            )
            while True:
                processes.check()
                time.sleep(1)


def running_demo() -> str:
    """Return the address of the running demo's UI; raises LaptopError if there is none."""
    if ADDRESS.exists():
        with ADDRESS.open() as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                content = held.read()
                if content:
                    return json.loads(content)["url"]
                raise LaptopError(
                    "The demo is still starting. Wait until it prints the address of its UI."
                ) from None
    raise LaptopError(
        "No demo runs on this machine. Start one with `make demo`, and keep it running."
    )


def drop_file(number: int) -> str:
    """Add the file of a bad day to the folder of the sensor; raises CommandError."""
    python = environments.folder(GROCER / "ingestion") / "bin" / "python"
    return process.output(
        [str(python), *bad_day.program(number)], env=environment_variables("http://127.0.0.1")
    )


def environment_variables(campaigns: str) -> dict[str, str]:
    """Return the environment variables of the demo's programs; `campaigns` is a URL."""
    return {
        # Programs on this machine are reached without a proxy.
        **{name: f"{os.environ.get(name, '')},{HOST}".lstrip(",") for name in _NO_PROXY},
        **QUIET,
        "DAGSTER_HOME": str(LAPTOP / "home"),
        "GROCER_CAMPAIGNS_URL": campaigns,
        "GROCER_DATA": str(LAPTOP / "data"),
        "GROCER_ENVIRONMENT": "local",
        "PYTHONUNBUFFERED": "1",
    }


def workspace(pythons: Mapping[str, Path]) -> dict[str, Any]:
    """Return a workspace.yaml with each code location in its own process and its own Python."""
    return {
        "load_from": [
            {
                "python_module": {
                    "module_name": f"{name}.definitions",
                    "location_name": name,
                    "executable_path": str(python),
                    "working_directory": str(GROCER / name),
                }
            }
            for name, python in pythons.items()
        ]
    }


_NO_PROXY = ("NO_PROXY", "no_proxy")


def _environments(progress: Progress) -> dict[str, Path]:
    pythons: dict[str, Path] = {}
    for name in LOCATIONS:
        with progress.step(f"Create the environment of {name}") as step:

            def run(command: list[str]) -> None:
                step.run(command, cwd=REPOSITORY)

            pythons[name] = environments.ensure(GROCER / name, run) / "bin" / "python"
    return pythons


def _start(progress: Progress, processes: Processes, pythons: Mapping[str, Path]) -> str:
    """Start the campaign service and Dagster; wait until the code locations are loaded.

    Returns:
        The address of the Dagster UI.
    """
    home = LAPTOP / "home"
    for folder in (home, LAPTOP / "data"):
        folder.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(yaml.safe_dump(INSTANCE))
    workspace_file = LAPTOP / "workspace.yaml"
    workspace_file.write_text(yaml.safe_dump(workspace(pythons), sort_keys=False))
    campaigns_port, port = free_port(), free_port(USUAL_PORT)
    campaigns = f"http://{HOST}:{campaigns_port}"
    environment = {**os.environ, **environment_variables(campaigns)}
    with progress.step("Start the campaign service, Dagster, and a process per code location"):
        processes.start(
            "campaign-service",
            [
                *(pythons["ingestion"], "-m", "ingestion.campaign_service"),
                *("--host", HOST, "--port", str(campaigns_port)),
            ],
            env=environment,
            cwd=LAPTOP,
        )
        dagster = Path(environments.UV).with_name("dagster")
        processes.start(
            "dagster",
            [
                *(dagster, "dev", "--workspace", workspace_file),
                *("--host", HOST, "--port", str(port)),
            ],
            env=environment,
            cwd=LAPTOP,
        )
        url = f"http://{HOST}:{port}"
        flow.wait_until_loaded(web_server(url), LOCATIONS, Timeouts(), processes.check)
        _wait_for(f"{campaigns}/healthz", processes)
    return url


def _wait_for(url: str, processes: Processes) -> None:
    deadline = time.monotonic() + CAMPAIGNS_SECONDS
    while True:
        processes.check()
        try:
            _get(url)
        except OSError as error:
            if time.monotonic() > deadline:
                raise LaptopError(
                    f"The campaign service does not respond at {url} after "
                    f"{CAMPAIGNS_SECONDS:.0f} s: {error}. See {LAPTOP / 'logs'}."
                ) from error
            time.sleep(0.5)
        else:
            return


def _get(url: str) -> None:
    """Request from a program on this machine, without a proxy; raises OSError if it fails."""
    build_opener(ProxyHandler({})).open(url, timeout=ANSWER_SECONDS).close()


def free_port(wanted: int = 0) -> int:
    """Return a free port of this machine: the first from `wanted` on, or any."""
    for port in (*(range(wanted, HIGHEST_PORT) if wanted else ()), 0):
        with socket.socket() as probe:
            # As servers do: a port whose last connection was just closed counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LaptopError(f"No port of {HOST} is free.")


@contextmanager
def only_demo() -> Generator[Path, None, None]:
    """Hold the lock of the demo; gives the file for its address.

    Raises:
        LaptopError: another process holds it.
    """
    LAPTOP.mkdir(parents=True, exist_ok=True)
    with ADDRESS.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LaptopError(
                f"The demo already runs, at {running_demo()}. Stop it with Ctrl-C first."
            ) from error
        # The address of an earlier demo is no longer valid.
        held.truncate(0)
        yield ADDRESS
