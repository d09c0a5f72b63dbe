"""Servers that several tests use."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from packages.bulkhead.tests import registry_server
from packages.bulkhead.tests.postgresql_server import Database, PostgreSQL, binaries
from packages.bulkhead.tests.registry_server import RegistryServer


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    # Not in pytest's directory: only one user can read that, and the server may be another user.
    with tempfile.TemporaryDirectory(prefix="bulkhead-postgresql-") as directory:
        server = PostgreSQL(binaries(), Path(directory))
        yield server
        server.stop()


@pytest.fixture
def database(
    postgresql: PostgreSQL, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Database]:
    name = f"test{abs(hash(request.node.name))}"
    maintenance = sqlalchemy.create_engine(
        f"postgresql://test@127.0.0.1:{postgresql.port}/postgres",
        isolation_level="AUTOCOMMIT",
        poolclass=sqlalchemy.NullPool,
    )
    with maintenance.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    yield Database(postgresql, name, tmp_path)
    with maintenance.connect() as connection:
        connection.execute(sqlalchemy.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def registry_program() -> Path:
    return registry_server.program()


@pytest.fixture(scope="session")
def image_registry(
    registry_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryServer]:
    server = RegistryServer(registry_program, tmp_path_factory.mktemp("registry"))
    yield server
    server.stop()
