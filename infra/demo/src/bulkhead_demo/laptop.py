"""The demo without a cluster: Dagster's own dev server, and each code location in its own Python.

Everything it keeps is in `build/demo`: Dagster's home, the data, the logs of the programs.
"""

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import yaml

from bulkhead_demo import bad_day, environments, figures, flow, observed
from bulkhead_demo.flow import Patience, Watch
from bulkhead_demo.paths import GROCER, LAPTOP, LOCATIONS
from bulkhead_demo.processes import Processes
from bulkhead_demo.screen import Screen
from bulkhead_kind import page, process
from bulkhead_kind.page import PageError, WebServer
from bulkhead_kind.paths import REPOSITORY
from bulkhead_kind.progress import Progress

HOST = "127.0.0.1"
USUAL_PORT = 3000
HIGHEST_PORT = 3020
CAMPAIGNS_SECONDS = 60.0
ANSWER_SECONDS = 30.0

OPEN = LAPTOP / "open.json"
"""Where the page of the demo that is open is; held locked by it."""

QUIET = {
    "AIRBYTE_OFFLINE_MODE": "1",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}
"""Environment variables that keep the tools from telling their makers of their use."""

INSTANCE = {
    "telemetry": {"enabled": False},
    # A run starts at once, and not up to five seconds later.
    "run_coordinator": {
        "module": "dagster.core.run_coordinator",
        "class": "QueuedRunCoordinator",
        "config": {"dequeue_interval_seconds": 1},
    },
}
"""dagster.yaml: all else is Dagster's default, files in its home."""


ONE_PROCESS = {"execution": {"config": {"in_process": {}}}}
"""Configuration of a run whose steps share a process: each new one would import everything anew."""


class LaptopError(Exception):
    """The demo can't begin; `str()` says why and what to do."""


@dataclass(frozen=True)
class LocalPage(WebServer):
    """A web server of this machine."""

    url: str

    def query(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Answer `data` of a GraphQL document.

        Raises:
            PageError: the web server could not be reached, or refused the document.
        """
        asked = json.dumps({"query": document, "variables": variables or {}}).encode()
        request = Request(  # noqa: S310 - the address is ours
            f"{self.url}/graphql", asked, {"Content-Type": "application/json"}
        )
        try:
            return page.data(_get(request))
        except HTTPError as error:
            said = error.read().decode(errors="replace")[:600]
            raise PageError(f"{self.url} answered with code {error.code}: {said}") from error
        except OSError as error:
            raise PageError(f"{self.url} did not answer: {error}") from error


def play(progress: Progress, *, fresh: bool, stay: bool) -> None:
    """Make what is missing, start everything, play the flow, print what it came to.

    Args:
        progress: shows the steps, and the rest on its console.
        fresh: begin with empty data.
        stay: leave the page open until Ctrl-C.

    Raises:
        LaptopError: the demo is open already, or the campaign service does not answer.
        StepError: an environment could not be made.
        FlowError: a code location could not be loaded, or the flow did not come to its end.
        ProcessError: one of the programs ended.
    """
    with _only_one() as told, Processes(LAPTOP / "logs") as processes:
        if fresh:
            for kept in ("home", "data"):
                shutil.rmtree(LAPTOP / kept, ignore_errors=True)
        pythons = _environments(progress)
        server = _start(progress, processes, pythons)
        told.write_text(json.dumps({"url": server.url}))
        progress.say(f"The page: [bold]{server.url}[/]")
        with Screen(progress.console) as screen:
            watch = Watch(server, screen, check=processes.check, config=ONE_PROCESS, url=server.url)
            flow.play(watch)
        figures.show(progress.console, observed.figures(server))
        progress.say(f"\nAll of it, for a look around: [bold]{server.url}/asset-groups[/]")
        if stay:
            progress.say(
                "The page stays open until Ctrl-C. "
                "Next, in another terminal: make demo-bad-day ARGS=--laptop"
            )
            while True:
                processes.check()
                time.sleep(1)


def open_page() -> LocalPage:
    """The page of the demo that is open now; raises LaptopError where none is."""
    if OPEN.exists():
        with OPEN.open() as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                told = held.read()
                if told:
                    return LocalPage(json.loads(told)["url"])
                raise LaptopError("The demo is starting; wait until it names its page.") from None
    raise LaptopError("No demo is open on this machine. Start one with `make demo`, and leave it.")


def drop_file(number: int) -> str:
    """Drop the file of a bad day into the folder that the sensor looks at; raises CommandError."""
    python = environments.folder(GROCER / "ingestion") / "bin" / "python"
    return process.output(
        [str(python), *bad_day.program(number)], env=surroundings("http://127.0.0.1")
    )


def surroundings(campaigns: str) -> dict[str, str]:
    """The environment of all programs of the demo, given the campaign service's address."""
    return {
        # Programs of this machine are reached directly, proxy or not.
        **{name: f"{os.environ.get(name, '')},{HOST}".lstrip(",") for name in _NO_PROXY},
        **QUIET,
        "DAGSTER_HOME": str(LAPTOP / "home"),
        "GROCER_CAMPAIGNS_URL": campaigns,
        "GROCER_DATA": str(LAPTOP / "data"),
        "GROCER_ENVIRONMENT": "local",
        "PYTHONUNBUFFERED": "1",
    }


def workspace(pythons: Mapping[str, Path]) -> dict[str, Any]:
    """workspace.yaml: each code location in a process of its own, with its own Python."""
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
        with progress.step(f"Environment of {name}") as step:

            def run(command: list[str]) -> None:
                step.run(command, cwd=REPOSITORY)

            pythons[name] = environments.ensure(GROCER / name, run) / "bin" / "python"
    return pythons


def _start(progress: Progress, processes: Processes, pythons: Mapping[str, Path]) -> LocalPage:
    """Start the campaign service and Dagster; wait until the code locations are loaded."""
    home = LAPTOP / "home"
    for folder in (home, LAPTOP / "data"):
        folder.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(yaml.safe_dump(INSTANCE))
    workspace_file = LAPTOP / "workspace.yaml"
    workspace_file.write_text(yaml.safe_dump(workspace(pythons), sort_keys=False))
    campaigns_port, port = _free_port(), _free_port(USUAL_PORT)
    campaigns = f"http://{HOST}:{campaigns_port}"
    environment = {**os.environ, **surroundings(campaigns)}
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
        server = LocalPage(f"http://{HOST}:{port}")
        flow.wait_until_loaded(server, LOCATIONS, Patience(), processes.check)
        _wait_for(f"{campaigns}/healthz", processes)
    return server


def _wait_for(url: str, processes: Processes) -> None:
    deadline = time.monotonic() + CAMPAIGNS_SECONDS
    while True:
        processes.check()
        try:
            _get(Request(url))  # noqa: S310 - the address is ours
        except OSError as error:
            if time.monotonic() > deadline:
                raise LaptopError(
                    f"the campaign service does not answer at {url} after "
                    f"{CAMPAIGNS_SECONDS:.0f} s: {error}; see {LAPTOP / 'logs'}"
                ) from error
            time.sleep(0.5)
        else:
            return


def _get(request: Request) -> str:
    """Ask a program of this machine, past any proxy; raises OSError where it does not answer."""
    with build_opener(ProxyHandler({})).open(request, timeout=ANSWER_SECONDS) as answer:
        return answer.read().decode()


def _free_port(wanted: int = 0) -> int:
    """A port of this machine that is free: the first from `wanted` on, or any."""
    for port in (*(range(wanted, HIGHEST_PORT) if wanted else ()), 0):
        with socket.socket() as probe:
            # As servers do: a port whose last connection has only just been closed is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LaptopError(f"no port of {HOST} is free")


@contextmanager
def _only_one() -> Generator[Path, None, None]:
    """Hold the demo's lock; gives the file that says where the page is.

    Raises:
        LaptopError: another process holds it.
    """
    LAPTOP.mkdir(parents=True, exist_ok=True)
    with OPEN.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LaptopError(
                f"The demo is open already, at {open_page().url}. End it with Ctrl-C first."
            ) from error
        # What an earlier one has told no longer holds.
        held.truncate(0)
        yield OPEN
