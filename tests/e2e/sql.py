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
    """Run a statement; return the selected rows, each cell as text.

    Args:
        kube: the cluster.
        namespace: of the pod.
        pod: of the server.
        statement: SQL.
        database: name of the database; the server's default one if empty.
    """
    output = pods.execute(kube, namespace, pod, ["sh", "-c", _PSQL, statement, database])
    return [line.split("|") for line in output.strip().splitlines()]
