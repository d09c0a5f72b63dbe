"""Values of jobs that name no IO manager, in a real S3-compatible store (SeaweedFS)."""

import json
import os
import pickle
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import dagster as dg
import pytest

from bulkhead import names
from bulkhead.object_store import object_store_io_manager

RUN_JOBS = Path(__file__).with_name("run_jobs.py")
START_SECONDS = 30


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
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("weed"),
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
        urllib.request.urlopen(f"{endpoint}/healthz", timeout=1).close()  # noqa: S310
        client.head_bucket(Bucket="values")
    except (OSError, client.exceptions.ClientError):
        return False
    return True


def test_values_pass_between_steps_under_the_locations_own_prefix(
    object_store: ObjectStore, python: Path, searched: str, tmp_path: Path
) -> None:
    finished = subprocess.run(
        [python, RUN_JOBS, tmp_path / "attempts"],
        env={
            **os.environ,
            **object_store.environment,
            "PYTHONPATH": searched,
            names.CODE_LOCATION_ENV: "blue",
            names.DEFINITIONS_MODULE_ENV: "values_between_pods",
        },
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    run_ids = json.loads(finished.stdout)
    assert list(run_ids) == ["fan_out", "__ASSET_JOB"]

    of_ops = f"io/blue/storage/{run_ids['fan_out']}"
    assert object_store.value(f"{of_ops}/add_at_second_attempt/result") == 5
    assert sum(key.startswith(f"{of_ops}/square") for key in object_store.list_keys()) == 2
    assert object_store.value("io/blue/downstream") == 2
    assert [key for key in object_store.list_keys() if not key.startswith("io/blue/")] == []


def test_without_a_bucket_the_error_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(names.OBJECT_STORE_BUCKET_ENV, raising=False)
    with (
        pytest.raises(dg.DagsterInvariantViolationError) as error,
        dg.build_resources({"io_manager": object_store_io_manager}),
    ):
        pass
    assert names.OBJECT_STORE_BUCKET_ENV in str(error.value)
    assert names.LOCATION_CONFIG_MAP in str(error.value)
