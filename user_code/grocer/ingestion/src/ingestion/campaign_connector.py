"""Campaigns, read from the campaign service by the Airbyte connector in campaigns.yaml."""

import json
import os
import tempfile
import urllib.request
import warnings
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.tables import CAMPAIGNS

if TYPE_CHECKING:
    import pyarrow as pa

CONNECTOR = Path(__file__).with_name("campaigns.yaml")

SETTINGS = {
    "DO_NOT_TRACK": "1",
    "AIRBYTE_OFFLINE_MODE": "1",
    "AIRBYTE_PROJECT_DIR": tempfile.gettempdir(),
}
"""What PyAirbyte reads when it is imported: nothing is sent anywhere but to the service."""


class CampaignServiceError(ConnectionError):
    """The campaign service does not answer as it should; `str()` says which, and what to do."""


def read_campaigns(url: str) -> "pa.Table":
    """Return all campaigns, with the columns of `raw.campaigns`.

    Raises:
        CampaignServiceError: the service does not answer, or not all of its campaigns were read.
    """
    import pyarrow as pa

    # First, because the connector itself would try for half a minute, and then say less.
    total = _total(url)
    records = _records(url)
    if len(records) != total:
        raise CampaignServiceError(
            f"The campaign service at {url} has {total} campaigns, and {len(records)} were read. "
            "Run again; if that is of no help, look at the connector in campaigns.yaml."
        )
    return pa.Table.from_pylist(
        [
            {
                **record,
                "start_date": date.fromisoformat(record["start_date"]),
                "end_date": date.fromisoformat(record["end_date"]),
            }
            for record in records
        ],
        CAMPAIGNS.arrow_schema(),
    )


def _total(url: str) -> int:
    try:
        with urllib.request.urlopen(f"{url}/campaigns?page_size=1", timeout=5) as answer:  # noqa: S310 - the admin's own URL
            return json.load(answer)["total"]
    except (OSError, ValueError, KeyError) as error:
        raise CampaignServiceError(
            f"The campaign service at {url} does not answer as it should: {error}. Start it with "
            "`python -m ingestion.campaign_service`, or let GROCER_CAMPAIGNS_URL say where it is."
        ) from error


def _records(url: str) -> list[dict[str, Any]]:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        # The clouds' libraries, which come along with PyAirbyte, warn of their futures.
        warnings.simplefilter("ignore")
        # Takes 8 s of a core that nothing else uses.
        import airbyte
    source = airbyte.get_source("source-campaigns", config={"url": url}, source_manifest=CONNECTOR)
    # Kept by name: a data set that nobody refers to any more ends its own reading, in silence.
    campaigns = source.get_records("campaigns")
    return [dict(record) for record in campaigns]
