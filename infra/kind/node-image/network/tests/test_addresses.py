import pytest
from network_objects import number

from bulkhead_network import addresses


def test_joins_overlapping_and_adjacent_ranges() -> None:
    assert addresses.merge([(7, 9), (1, 2), (3, 3), (8, 12), (20, 20)]) == (
        (1, 3),
        (7, 12),
        (20, 20),
    )


@pytest.mark.parametrize(
    ("holes", "remaining"),
    [
        ([], ((10, 20),)),
        ([(12, 14)], ((10, 11), (15, 20))),
        ([(10, 12), (18, 20)], ((13, 17),)),
        ([(12, 14), (13, 16), (30, 40)], ((10, 11), (17, 20))),
        ([(0, 30)], ()),
    ],
)
def test_subtracts_exceptions(
    holes: list[tuple[int, int]], remaining: tuple[tuple[int, int], ...]
) -> None:
    assert addresses.subtract((10, 20), holes) == remaining


@pytest.mark.parametrize(
    ("at", "is_inside"), [(0, False), (1, True), (3, True), (4, False), (9, True)]
)
def test_finds_an_address_in_ranges(at: int, is_inside: bool) -> None:
    assert addresses.contains(((1, 3), (7, 12)), at) is is_inside


def test_finds_nothing_in_no_ranges() -> None:
    assert not addresses.contains((), 1)


def test_reads_networks_as_loosely_as_the_api_server() -> None:
    assert addresses.block("010.001.0.7/16") == (number("10.1.0.0"), number("10.1.255.255"))
    assert addresses.block("0.0.0.0/0") == addresses.EVERY_ADDRESS[0]
    assert addresses.block("fd00::/8") is None
    assert addresses.address("fd00::1") is None


def test_shows_ranges_as_nft_reads_them() -> None:
    assert addresses.show_range((number("10.0.0.1"), number("10.0.0.1"))) == "10.0.0.1"
    assert addresses.show_range((number("10.0.0.1"), number("10.0.2.9"))) == "10.0.0.1-10.0.2.9"
