"""Connections to the database that are kept, and come back when the database does.

Dagster's PostgreSQL storages open a connection for everything they do: some 20 in the life of a
step, 90 in that of a run, each a process of its own on the server. Here a process keeps one, which
run storage and event log share, and opens more only while one is busy. Dagster gives up after 6 s
without a database; here a process waits for it as long as the restart of one takes.
"""

import time
from typing import TYPE_CHECKING, Any, Final

from bulkhead.dagster_compat import has_token_provider, set_engine

if TYPE_CHECKING:
    from dagster import DagsterInstance

# A database whose pod has gone answers nothing at all: the kernel would wait two minutes for a new
# connection and fifteen for an old one. Settings of libpq:
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_CONNECT: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

_PATIENCE_SECONDS: Final = 90.0
_WAIT_SECONDS: Final = 1.0

# What waiting does not mend.
_FINAL_ANSWERS: Final = ("authentication failed", "does not exist", "no pg_hba.conf entry")


def keep_connections(instance: "DagsterInstance", most: int) -> None:
    """Let the storages of an instance share at most so many connections.

    Each is tried before it is used, so one that broke while the database was away is replaced.
    Storages on other databases stay as they are, and so do those whose passwords are short-lived
    tokens.
    """
    engines: dict[str, Any] = {}
    storages: list[Any] = [
        instance.run_storage,
        instance.event_log_storage,
        instance.schedule_storage,
    ]
    for storage in storages:
        url = getattr(storage, "postgres_url", None)
        if not url or has_token_provider(storage):
            continue
        if url not in engines:
            from sqlalchemy import create_engine, event

            engines[url] = create_engine(
                url,
                isolation_level="AUTOCOMMIT",  # as in dagster_postgres
                connect_args=_CONNECT,
                pool_size=1,
                max_overflow=most - 1,
                pool_pre_ping=True,
            )
            event.listen(engines[url], "do_connect", _connect_patiently)
        set_engine(storage, engines[url])


def _connect_patiently(dialect: Any, _record: object, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
    """Open a connection, and wait for the database where it is not there."""
    patience = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return dialect.connect(*args, **kwargs)
        except dialect.dbapi.OperationalError as error:
            said = str(error)
            if time.monotonic() > patience or any(final in said for final in _FINAL_ANSWERS):
                raise
        time.sleep(_WAIT_SECONDS)
