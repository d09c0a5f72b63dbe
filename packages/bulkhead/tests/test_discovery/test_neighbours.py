"""What the code locations have to do with each other's assets."""

from bulkhead.discovery.neighbours import AssetOwners
from bulkhead.webserver_api.definitions import Asset


def made(key: str, *dependencies: str) -> Asset:
    return Asset(key, dependencies, is_executable=True)


def mentioned(key: str) -> Asset:
    return Asset(key, (), is_executable=False)


OWNERS = AssetOwners(
    {
        "shop": (made("orders"), made("sums", "orders")),
        "ml": (mentioned("sums"), made("model", "sums", "orders")),
        "reports": (mentioned("sums"), made("page", "sums"), made("model")),
    }
)


def test_an_asset_has_the_other_locations_that_depend_on_it() -> None:
    assert OWNERS.neighbours("shop").dependents == {"orders": ("ml",), "sums": ("ml", "reports")}
    assert OWNERS.neighbours("ml").dependents == {}


def test_keys_of_other_locations_are_taken_but_not_those_that_they_only_mention() -> None:
    assert OWNERS.neighbours("shop").taken == {"model": "ml", "page": "reports"}
    assert OWNERS.neighbours("ml").taken == {
        "orders": "shop",
        "sums": "shop",
        "model": "reports",
        "page": "reports",
    }


def test_a_location_whose_assets_are_unknown_still_knows_what_is_taken() -> None:
    found = OWNERS.neighbours("new")
    assert found.dependents is None
    assert found.taken == {"model": "ml", "orders": "shop", "page": "reports", "sums": "shop"}
