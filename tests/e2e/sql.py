"""SQL in the pod of a PostgreSQL server, as its superuser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e import pods

if TYPE_CHECKING:
    from tests.e2e.cluster import Kube

_PSQL = (
    "PGPASSWORD=$POSTGRES_PASSWORD PGOPTIONS='-c client_min_messages=warning' psql "
    "--host=127.0.0.1 --username=$POSTGRES_USER --dbname=${1:-$POSTGRES_DB} -At "
    '--quiet -F "|" -c "$0"'
)


def rows(
    kube: Kube, namespace: str, pod: str, statement: str, database: str = ""
) -> list[list[str]]:
    """Run a statement; return what it selected, each cell as text.

    Args:
        kube: the cluster.
        namespace: of the pod.
        pod: the server's.
        statement: SQL.
        database: which of the server's; the one that it was made with, unless told.
    """
    said = pods.execute(kube, namespace, pod, ["sh", "-c", _PSQL, statement, database])
    return [line.split("|") for line in said.strip().splitlines()]
