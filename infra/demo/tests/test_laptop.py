"""The demo without a cluster: one at a time, and each code location with its own Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulkhead.webserver_api.errors import NoAnswerError
from bulkhead.webserver_api.transports import DirectTransport
from bulkhead_demo import laptop
from bulkhead_demo.laptop import LaptopError

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laptop, "LAPTOP", tmp_path)
    monkeypatch.setattr(laptop, "ADDRESS", tmp_path / "open.json")


def test_each_code_location_runs_with_its_own_python() -> None:
    made = laptop.workspace({"ml": Path("/venvs/ml/bin/python"), "analytics": Path("/venvs/a")})
    modules = [each["python_module"] for each in made["load_from"]]
    assert [each["location_name"] for each in modules] == ["ml", "analytics"]
    assert modules[0]["executable_path"] == "/venvs/ml/bin/python"
    assert modules[0]["module_name"] == "ml.definitions"


def test_telemetry_is_off_and_no_proxy_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.delenv("no_proxy", raising=False)
    variables = laptop.environment_variables("http://127.0.0.1:1")
    assert variables["RUNTIME__DLTHUB_TELEMETRY"] == "false"
    assert variables["DO_NOT_TRACK"] == "1"
    assert variables["NO_PROXY"] == "example.com,127.0.0.1"
    assert variables["no_proxy"] == "127.0.0.1"


def test_a_second_demo_names_the_address_of_the_first() -> None:
    with laptop.only_demo() as address:
        address.write_text('{"url": "http://127.0.0.1:3000"}')
        assert laptop.running_demo() == "http://127.0.0.1:3000"
        with pytest.raises(LaptopError, match=r"already runs, at http://127\.0\.0\.1:3000"):
            laptop.only_demo().__enter__()


def test_a_starting_demo_has_no_address_yet() -> None:
    with laptop.only_demo() as address:
        address.write_text('{"url": "http://127.0.0.1:3000"}')
    with laptop.only_demo(), pytest.raises(LaptopError, match="is still starting"):
        laptop.running_demo()


def test_a_demo_that_ended_does_not_run() -> None:
    with laptop.only_demo() as address:
        address.write_text('{"url": "http://127.0.0.1:3000"}')
    with pytest.raises(LaptopError, match="`make demo`"):
        laptop.running_demo()


def test_a_web_server_that_does_not_respond_is_named() -> None:
    url = f"http://127.0.0.1:{laptop.free_port()}"
    with pytest.raises(NoAnswerError, match=f"{url}/graphql does not answer"):
        laptop.web_server(url).execute("{ version }")


def test_a_busy_web_server_may_take_longer_than_the_client_usually_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timeouts: list[float] = []

    def send(
        _: DirectTransport, document: str, variables: Mapping[str, Any], timeout: float
    ) -> object:
        del document, variables
        timeouts.append(timeout)
        return {"data": {}}

    monkeypatch.setattr(DirectTransport, "send", send)
    client = laptop.web_server("http://127.0.0.1:3000")
    client.execute("{ version }")
    client.execute("{ version }", timeout=240.0)
    assert timeouts == [laptop.ANSWER_SECONDS, 240.0]
