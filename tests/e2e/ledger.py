"""Rows that steps wrote while they ran; they stay when the step or its run fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e import sql

if TYPE_CHECKING:
    from tests.e2e.cluster import Kube
    from tests.e2e.installation import Installation


@dataclass(frozen=True)
class Row:
    """One row that a step added."""

    at: float
    """Seconds since 1970, by the database's clock."""
    step: str
    what: str


@dataclass(frozen=True)
class Ledger:
    """A table in the platform's database."""

    kube: Kube
    platform: Installation

    def create(self) -> None:
        """Create the table unless it exists."""
        self._query(
            "CREATE TABLE IF NOT EXISTS e2e_steps "
            "(at timestamptz DEFAULT clock_timestamp(), run text, step text, what text)"
        )

    def rows(self, run: str, step: str | None = None) -> list[Row]:
        """The rows of a run's steps, or of one of them, in order."""
        selected = self._query(
            "SELECT extract(epoch FROM at), step, what FROM e2e_steps "  # noqa: S608 - our own id
            f"WHERE run = '{run}' ORDER BY at"
        )
        found = [Row(float(at), key, what) for at, key, what in selected]
        return [row for row in found if step in {None, row.step}]

    def connections(self) -> dict[str, int]:
        """How many connections each address has open to the database."""
        selected = self._query(
            "SELECT host(client_addr), count(*) FROM pg_stat_activity "
            "WHERE client_addr IS NOT NULL AND backend_type = 'client backend' GROUP BY 1"
        )
        return {address: int(count) for address, count in selected}

    def _query(self, statement: str) -> list[list[str]]:
        database = f"{self.platform.release}-postgresql-0"
        return sql.rows(self.kube, self.platform.namespace, database, statement)
