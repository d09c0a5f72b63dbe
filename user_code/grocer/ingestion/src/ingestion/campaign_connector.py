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
"""Settings that PyAirbyte reads when it is imported; they turn off telemetry."""


class CampaignServiceError(ConnectionError):
    """The campaign service does not respond correctly; `str()` has its URL and what to do."""


def read_campaigns(url: str) -> "pa.Table":
    """Return all campaigns, with the columns of `raw.campaigns`.

    Raises:
        CampaignServiceError: the service does not respond, or not all campaigns were read.
    """
    import pyarrow as pa

    # First, because the connector retries for half a minute, and its error has less detail.
    total = _total(url)
    records = _records(url)
    if len(records) != total:
        raise CampaignServiceError(
            f"The campaign service at {url} has {total} campaigns, but {len(records)} were read. "
            "Retry the run. If that does not help, check the connector in campaigns.yaml."
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
            f"The campaign service at {url} does not respond correctly: {error}. Start it with "
            "`python -m ingestion.campaign_service`, or set GROCER_CAMPAIGNS_URL to its URL."
        ) from error


def _records(url: str) -> list[dict[str, Any]]:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        # Cloud libraries, which PyAirbyte depends on, print deprecation warnings.
        warnings.simplefilter("ignore")
        # Takes 8 s on an idle core.
        import airbyte
    source = airbyte.get_source("source-campaigns", config={"url": url}, source_manifest=CONNECTOR)
    # A variable: without a reference to the data set, reading stops without an error.
    campaigns = source.get_records("campaigns")
    return [dict(record) for record in campaigns]
