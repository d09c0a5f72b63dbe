import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest
from support import free_ports, query, resource_of

from ingestion import campaign_connector
from ingestion.campaign_connector import CampaignServiceError, read_campaigns
from ingestion.campaign_service import CampaignService
from ingestion.databases import Database
from ingestion.marketing import campaigns
from ingestion.resources import CampaignServiceResource

SHORT = [
    {
        "campaign_id": number,
        "campaign_type": "Type A",
        "households": 3,
        "start_date": "2017-01-01",
        "end_date": "2017-02-01",
    }
    for number in range(1, 4)
]


class Service(NamedTuple):
    url: str
    log: Path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service as a person starts it, in a process of its own."""
    (port,) = free_ports(1)
    log = tmp_path_factory.mktemp("service") / "log"
    command = [sys.executable, "-m", "ingestion.campaign_service", "--port", str(port)]
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output, text=True) as process,
    ):
        assert process.stdout
        assert process.stdout.readline() == (
            f"Campaigns are served on http://127.0.0.1:{port}/campaigns\n"
        )
        yield Service(f"http://127.0.0.1:{port}", log)
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture
def short_service() -> Iterator[CampaignService]:
    """The service in this process, with three campaigns."""
    with CampaignService("127.0.0.1", 0, SHORT) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield service
        service.shutdown()


def get(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def test_all_campaigns_come_through_the_connector_page_by_page(
    service: Service, warehouse: Database
) -> None:
    result = dg.materialize(
        [campaigns],
        resources={
            "warehouse": resource_of(warehouse),
            "campaign_service": CampaignServiceResource(url=service.url),
        },
    )
    assert "/campaigns?page=3&page_size=10 " in service.log.read_text()
    (event,) = result.asset_materializations_for_node("campaigns")
    assert event.metadata["dagster/row_count"].value == 27
    assert query(
        warehouse,
        "SELECT count(*), count(DISTINCT campaign_id), sum(households) FROM raw.campaigns",
    ) == [(27, 27, 6589)]
    assert query(warehouse, "SELECT * FROM raw.campaigns WHERE campaign_id = 1") == [
        (1, "Type B", date(2017, 3, 3), date(2017, 4, 9), 13)
    ]


def test_the_service_answers_in_pages(short_service: CampaignService) -> None:
    first = get(f"{short_service.url}/campaigns?page_size=2")
    assert (first["page"], first["pages"], first["total"]) == (1, 2, 3)
    second = get(f"{short_service.url}/campaigns?page_size=2&page=2")
    assert first["campaigns"] + second["campaigns"] == SHORT
    assert get(f"{short_service.url}/campaigns?page=9")["campaigns"] == []
    assert get(f"{short_service.url}/healthz") == {"status": "up"}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("campaigns?page=0", 400, "page is '0'. It must be a whole number from 1"),
        ("campaigns?page_size=101", 400, "page_size is '101'. It must be a whole number from 1 to"),
        ("coupons", 404, "/coupons does not exist. Use /campaigns or /healthz."),
    ],
)
def test_the_service_reports_what_is_wrong_with_a_request(
    short_service: CampaignService, path: str, status: int, words: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        get(f"{short_service.url}/{path}")
    assert error.value.code == status
    assert words in json.load(error.value)["error"]


def test_a_missing_service_is_named_at_once_with_what_to_do() -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(CampaignServiceError) as error:
        read_campaigns(url)
    for words in (url, "Connection refused", "python -m ingestion.campaign_service"):
        assert words in str(error.value)


def test_a_reading_that_ends_early_is_an_error_and_not_a_smaller_table(
    short_service: CampaignService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_connector, "_records", lambda _url: SHORT[:2])
    with pytest.raises(CampaignServiceError, match="has 3 campaigns, but 2 were read"):
        read_campaigns(short_service.url)
