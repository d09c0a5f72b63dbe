"""Connections to the database that are kept, and that survive a restart of the database.

Dagster's PostgreSQL storages open a connection for every operation: about 20 for a step and 90 for
a run, each a process of its own on the server. Here a process keeps one connection, which run
storage and event log share, and opens more only while that one is busy. Dagster fails after 6 s
without a database. Here a process waits as long as a restart of the database takes.
"""

import time
from typing import TYPE_CHECKING, Any, Final

from bulkhead.dagster_compat import has_token_provider, set_engine

if TYPE_CHECKING:
    from dagster import DagsterInstance

# A database whose pod is gone does not answer at all. The kernel would wait two minutes for a new
# connection and fifteen minutes for an old one. Settings of libpq:
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_CONNECT_ARGS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

_DATABASE_TIMEOUT_SECONDS: Final = 90.0
_RETRY_SECONDS: Final = 1.0

# Errors that waiting does not fix.
_FINAL_ANSWERS: Final = ("authentication failed", "does not exist", "no pg_hba.conf entry")


def keep_connections(instance: "DagsterInstance", most: int) -> None:
    """Let the storages of an instance share at most `most` connections.

    A connection is tested before it is used, so one that broke is replaced. Storages of other
    databases do not change, and neither do those whose passwords are short-lived tokens.
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
                connect_args=_CONNECT_ARGS,
                pool_size=1,
                max_overflow=most - 1,
                pool_pre_ping=True,
            )
            event.listen(engines[url], "do_connect", _connect)
        set_engine(storage, engines[url])


def _connect(dialect: Any, _record: object, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
    """Open a connection. Wait for a database that does not answer, until a timeout."""
    deadline = time.monotonic() + _DATABASE_TIMEOUT_SECONDS
    while True:
        try:
            return dialect.connect(*args, **kwargs)
        except dialect.dbapi.OperationalError as error:
            message = str(error)
            if time.monotonic() > deadline or any(final in message for final in _FINAL_ANSWERS):
                raise
        time.sleep(_RETRY_SECONDS)
