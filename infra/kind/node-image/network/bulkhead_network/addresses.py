"""Sets of IPv4 addresses as ranges of integers.

A range is `(first, last)`, both included. Plain integers and not `ipaddress` objects, because a
policy may name thousands of addresses, which are merged again at every change.
"""

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]
Ranges: TypeAlias = tuple[Range, ...]

LAST_ADDRESS = 2**32 - 1
EVERY_ADDRESS: Ranges = ((0, LAST_ADDRESS),)


def address(text: str) -> int | None:
    """Return the number of an IPv4 address, or None for an IPv6 address.

    Raises:
        ValueError: the text is not a valid address.
    """
    parsed = ipaddress.ip_address(_without_leading_zeros(text))
    return int(parsed) if isinstance(parsed, ipaddress.IPv4Address) else None


def block(cidr: str) -> Range | None:
    """Return the range of an IPv4 network such as `10.0.0.0/8`, or None for an IPv6 network.

    Bits that are set beyond the prefix, which the API server lets through, are ignored.

    Raises:
        ValueError: the text is not a valid network.
    """
    network = ipaddress.ip_network(_without_leading_zeros(cidr), strict=False)
    if not isinstance(network, ipaddress.IPv4Network):
        return None
    return int(network.network_address), int(network.broadcast_address)


def merge(ranges: Iterable[Range]) -> Ranges:
    """Return the union, sorted, with overlapping and adjacent ranges joined."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def subtract(whole: Range, holes: Iterable[Range]) -> Ranges:
    """Return what remains of one range without the holes."""
    first, last = whole
    remaining: list[Range] = []
    for hole_first, hole_last in merge(holes):
        if hole_last < first or hole_first > last:
            continue
        if hole_first > first:
            remaining.append((first, hole_first - 1))
        first = hole_last + 1
    if first <= last:
        remaining.append((first, last))
    return tuple(remaining)


def contains(ranges: Ranges, number: int) -> bool:
    """Say whether an address lies in one of the ranges, which are as `merge` returns them."""
    at_or_before = bisect_right(ranges, (number, LAST_ADDRESS))
    return at_or_before > 0 and number <= ranges[at_or_before - 1][1]


def show_address(number: int) -> str:
    """Return the dotted form of an address."""
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def show_range(numbers: Range) -> str:
    """Return a range as nftables reads it: `10.0.0.1` or `10.0.0.1-10.0.0.9`."""
    first, last = numbers
    return show_address(first) if first == last else f"{show_address(first)}-{show_address(last)}"


def _without_leading_zeros(text: str) -> str:
    # The API server takes 010.0.0.0/8 for 10.0.0.0/8; `ipaddress` refuses it. A policy
    # must not be able to stop the agent.
    return text if ":" in text else re.sub(r"\b0+(?=\d)", "", text)
