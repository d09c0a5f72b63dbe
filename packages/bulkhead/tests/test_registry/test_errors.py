"""What an answer of a registry means: which errors a retry can help, and what a person reads."""

import json
from typing import Any

import pytest
import requests

from bulkhead.registry.errors import explain

# Details of the distribution registry 2.8 with a full disk, for the upload and for its start.
WRITE_FAILED = "write /var/lib/registry/docker/registry/v2/data: no space left on device"
START_FAILED = {
    "DriverName": "filesystem",
    "Enclosed": {"Op": "write", "Path": "/var/lib/registry/docker/startedat", "Err": 28},
}


def _message(status: int, body: Any = None, user: str | None = "team") -> tuple[str, bool]:
    response = requests.Response()
    response.status_code = status
    response.reason = "Some Reason"
    response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = explain(requests.HTTPError(response=response), "r.io", "acme/sales", user)
    return str(error), error.is_temporary


def _errors(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message}]}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_an_overloaded_registry_is_temporary(status: int) -> None:
    message, is_temporary = _message(status, b"<html>")
    assert is_temporary
    assert message == f"Registry r.io answered {status} for acme/sales: Some Reason."


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 501, 507])
def test_a_refusal_is_permanent(status: int) -> None:
    _, is_temporary = _message(status)
    assert not is_temporary


@pytest.mark.parametrize("detail", [WRITE_FAILED, START_FAILED])
def test_a_full_disk_is_permanent_although_the_registry_answers_500(detail: object) -> None:
    body = {"errors": [{"code": "UNKNOWN", "message": "unknown error", "detail": detail}]}
    message, is_temporary = _message(500, body)
    assert not is_temporary
    assert message.startswith("Registry r.io is full: no space left on its disk for acme/sales.")
    assert "bulkhead images prune" in message


def test_a_full_quota_shows_the_registrys_own_words() -> None:
    words = "adding 8.1 MiB of storage resource will exceed the configured upper limit of 1.0 GiB."
    message, is_temporary = _message(403, _errors("DENIED", words))
    assert not is_temporary
    assert words in message
    assert "Check that user team may read and push acme/sales, and that" in message
    assert "quota has room" in message


def test_a_missing_repository_and_a_large_layer_say_what_to_do() -> None:
    message, _ = _message(404, _errors("NAME_UNKNOWN", "repository name not known to registry"))
    assert "repository name not known to registry. " in message
    assert "create the repository" in message
    message, _ = _message(413, b"<html>")
    assert "larger than the registry, or a proxy in front of it, accepts" in message


@pytest.mark.parametrize("body", [b"", b"[]", b'{"errors": 1}', b'{"errors": [1]}', b"\xff"])
def test_any_body_is_read(body: bytes) -> None:
    message, _ = _message(403, body)
    assert "Some Reason" in message


def test_an_answer_that_is_not_a_registrys_names_the_address() -> None:
    error = explain(KeyError("mediaType"), "r.io", "acme/sales", None)
    assert "Registry r.io sent an answer that is not one of a registry's API" in str(error)
    assert not error.is_temporary
