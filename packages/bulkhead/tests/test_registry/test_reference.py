"""Names of images are read as docker reads them."""

import pytest

from bulkhead.registry.reference import InvalidReferenceError, Reference, is_loopback

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ghcr.io/team/sales", Reference("ghcr.io", "team/sales")),
        ("127.0.0.1:5001/bulkhead/sales:1", Reference("127.0.0.1:5001", "bulkhead/sales", "1")),
        ("localhost/sales", Reference("localhost", "sales")),
        (f"r.io/a/b:v1@{DIGEST}", Reference("r.io", "a/b", "v1", DIGEST)),
        (f"r.io:443/a@{DIGEST}", Reference("r.io:443", "a", None, DIGEST)),
        ("team/sales:2", Reference("docker.io", "team/sales", "2")),
        ("python:3.11", Reference("docker.io", "library/python", "3.11")),
    ],
)
def test_a_name_is_read_and_written(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected
    assert Reference.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "r.io/", "r.io/Team/sales", "r.io/a b", "r.io/a:", "r.io/a@sha256:12", "http://r.io/a"],
)
def test_another_text_is_an_error_that_contains_it(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match="is not a valid name of an image") as raised:
        Reference.parse(text)
    assert repr(text) in str(raised.value)
    assert not raised.value.is_temporary


def test_loopback_is_recognized_with_and_without_a_port() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.0.0.1:5001", "localhost:5000", "[::1]:5000"]))
    assert not any(map(is_loopback, ["bulkhead-registry:5000", "ghcr.io", "10.0.0.1:5000"]))
