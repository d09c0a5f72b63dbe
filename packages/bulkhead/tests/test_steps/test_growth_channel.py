"""How a step asks its run for more memory, over a real connection."""

import http.client
import socket
from collections.abc import Callable

import pytest

from bulkhead.steps import growth_channel
from bulkhead.steps.growth_channel import GrowthChannel


@pytest.fixture
def grown() -> list[str]:
    """The names of the Jobs that were given more."""
    return []


@pytest.fixture
def channel(grown: list[str]) -> GrowthChannel:
    def grow(job_name: str) -> int | None:
        grown.append(job_name)
        return None if job_name == "full" else 512

    channel = GrowthChannel(grow)
    channel.start("127.0.0.1")
    return channel


@pytest.fixture
def be_step(channel: GrowthChannel, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make this process the pod of a step."""

    def be_step(job_name: str) -> None:
        for variable in channel.environment(job_name):
            monkeypatch.setenv(variable["name"], variable["value"])

    return be_step


def test_a_step_is_told_the_limit_that_it_has_by_then(
    be_step: Callable[[str], None], grown: list[str]
) -> None:
    be_step("train")
    assert growth_channel.is_available()
    assert growth_channel.request_memory() == 512
    assert grown == ["train"]


def test_a_step_is_told_that_there_is_no_more(be_step: Callable[[str], None]) -> None:
    be_step("full")
    assert growth_channel.request_memory() is None


def test_a_secret_is_good_for_its_own_step_alone(
    be_step: Callable[[str], None], grown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_step("train")
    monkeypatch.setenv(growth_channel.STEP_ENV, "train-1")
    assert growth_channel.request_memory() is None
    monkeypatch.setenv(growth_channel.SECRET_ENV, "")
    assert growth_channel.request_memory() is None
    assert grown == []


def test_each_run_has_secrets_of_its_own(channel: GrowthChannel) -> None:
    other = GrowthChannel(lambda _: None)
    other.start("127.0.0.1")
    secrets = [each.environment("train")[2]["value"] for each in (channel, other)]
    assert len(set(secrets)) == 2


def test_nothing_is_lost_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv(growth_channel.ADDRESS_ENV, address)
    monkeypatch.setenv(growth_channel.STEP_ENV, "train")
    monkeypatch.setenv(growth_channel.SECRET_ENV, "any")
    assert growth_channel.request_memory() is None


def test_a_run_that_does_not_listen_gives_its_steps_nobody_to_ask() -> None:
    assert GrowthChannel(lambda _: None).environment("train") == []


def test_what_is_no_request_ends_nothing(
    channel: GrowthChannel, be_step: Callable[[str], None]
) -> None:
    be_step("train")
    host, _, port = channel.environment("train")[0]["value"].partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"\x00\xff not HTTP at all\r\n\r\n")
    long = http.client.HTTPConnection(host, int(port))
    long.request("POST", "/", "x" * 100_000)
    assert long.getresponse().status == http.HTTPStatus.FORBIDDEN
    assert growth_channel.request_memory() == 512
