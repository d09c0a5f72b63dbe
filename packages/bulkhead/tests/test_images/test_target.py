"""Two addresses of one registry: of pods, and of the machine that pushes."""

import pytest

from bulkhead.images.target import Target
from bulkhead.registry.errors import RegistryError
from bulkhead.registry.reference import Reference

DIGEST = f"sha256:{'0' * 64}"
KIND = Target("bulkhead-registry:5000/bulkhead", "127.0.0.1:5001/bulkhead")


def test_the_two_addresses_are_translated() -> None:
    assert KIND.push_reference("sales") == Reference("127.0.0.1:5001", "bulkhead/sales")
    pod = KIND.pod_reference("sales", DIGEST)
    assert pod == f"bulkhead-registry:5000/bulkhead/sales@{DIGEST}"
    assert KIND.reachable(pod) == Reference("127.0.0.1:5001", "bulkhead/sales", None, DIGEST)


def test_an_image_of_another_registry_keeps_its_address() -> None:
    other = f"bulkhead-registry:5000/bulkhead-platform@{DIGEST}"
    assert KIND.reachable(other).host == "bulkhead-registry:5000"


def test_only_loopback_and_what_is_set_uses_plain_http() -> None:
    assert KIND.uses_plain_http("127.0.0.1:5001")
    assert not KIND.uses_plain_http("ghcr.io")
    assert Target("r.io/a", "r.io/a", plain_http=True).uses_plain_http("r.io")


def test_an_invalid_prefix_is_an_error() -> None:
    with pytest.raises(RegistryError, match="is not a valid name of an image"):
        Target("r.io/A", "r.io/A").push_reference("sales")
