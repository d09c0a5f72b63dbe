"""What the last images define."""

import secrets

import pytest
from packages.bulkhead.tests.kube_store import KubeStore

from bulkhead.code_location.summary import Asset, Summary
from bulkhead.deploy import definitions


def image(number: int) -> str:
    return f"registry/shop@sha256:{number:064}"


def summary(*assets: str) -> Summary:
    return Summary(location="shop", assets=dict.fromkeys(assets, Asset()))


def test_nothing_is_known_of_an_image_that_was_not_deployed(store: KubeStore) -> None:
    assert definitions.read(store.api, "bulkhead-shop", "shop", image(1)) is None
    assert definitions.read(store.api, "bulkhead-shop", "shop", None) is None


def test_the_last_five_images_are_known_and_the_one_before_is_forgotten(store: KubeStore) -> None:
    for number in range(6):
        definitions.write(
            store.api, "bulkhead-shop", "shop", image(number), summary(f"asset_{number}")
        )
    found = [
        definitions.read(store.api, "bulkhead-shop", "shop", image(number)) for number in range(6)
    ]
    assert found == [None, *(summary(f"asset_{number}") for number in range(1, 6))]


def test_an_image_that_is_deployed_again_stays_known(store: KubeStore) -> None:
    for number in (0, 1, 2, 3, 4, 0, 5):
        definitions.write(store.api, "bulkhead-shop", "shop", image(number), summary("one"))
    assert definitions.read(store.api, "bulkhead-shop", "shop", image(0)) == summary("one")
    assert definitions.read(store.api, "bulkhead-shop", "shop", image(1)) is None


def test_large_summaries_stay_below_the_limit_of_a_config_map(
    store: KubeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(definitions, "_LARGEST_BYTES", 20_000)
    large = [summary(*(secrets.token_hex(40) for _ in range(150))) for _ in range(4)]
    for number, each in enumerate(large):
        definitions.write(store.api, "bulkhead-shop", "shop", image(number), each)
    assert definitions.read(store.api, "bulkhead-shop", "shop", image(3)) == large[3]
    assert definitions.read(store.api, "bulkhead-shop", "shop", image(0)) is None
