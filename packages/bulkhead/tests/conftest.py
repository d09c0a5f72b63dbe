"""Servers that several tests use."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from packages.bulkhead.tests.postgresql_server import Database, PostgreSQL, binaries


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
