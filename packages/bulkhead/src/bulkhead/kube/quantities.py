"""Kubernetes quantities, such as `500m`, `2`, `512Mi` and `1.5Gi`, as numbers, and back."""

import re
from decimal import Decimal
from typing import Final

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_FORM: Final = re.compile(
    r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))"
    r"(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE](?P<exponent>[+-]?\d{1,3})|)",
    re.ASCII,
)

_UNITS: Final = {
    **{unit: Decimal(1).scaleb(3 * n) for n, unit in enumerate(["", *"kMGTPE"])},
    **{unit: Decimal(1).scaleb(-3 * n) for n, unit in enumerate("mun", start=1)},
    **{f"{unit}i": Decimal(2) ** (10 * n) for n, unit in enumerate("KMGTPE", start=1)},
}
_LARGEST: Final = Decimal(2**63 - 1)

KIB: Final = 2**10
MIB: Final = 2**20
GIB: Final = 2**30


class QuantityError(ValueError):
    """A text is not a valid Kubernetes quantity, or is negative."""


def parse(quantity: str | float) -> Decimal:
    """Return a quantity as a plain number, for example of cores or bytes.

    More than 2⁶³ - 1 is returned as 2⁶³ - 1, as in Kubernetes.

    Raises:
        QuantityError: it is not a valid quantity, or it is negative.
    """
    text = str(quantity)
    match = _FORM.fullmatch(text)
    if not match:
        raise QuantityError(
            f"{text!r} is not a valid Kubernetes quantity; one is a number with or without a unit, "
            "such as 500m or 2 (cores), 512Mi or 1.5Gi (bytes)"
        )
    number = Decimal(match["number"])
    if number < 0:
        raise QuantityError(f"{text!r} is negative")
    exponent = match["exponent"]
    factor = Decimal(1).scaleb(int(exponent)) if exponent else _UNITS[match["suffix"]]
    return min(number * factor, _LARGEST)


def parse_bytes(quantity: str | float) -> int:
    """Return a quantity of bytes, rounded up as Kubernetes does; raises QuantityError."""
    return int(parse(quantity).to_integral_value(rounding="ROUND_CEILING"))


def exact_bytes(number: int) -> str:
    """Return bytes as the shortest quantity that is exactly as much: `512Mi`, `1536Mi`, `1Gi`."""
    for unit, size in (("Gi", GIB), ("Mi", MIB), ("Ki", KIB)):
        if number and number % size == 0:
            return f"{number // size}{unit}"
    return str(number)


def readable_bytes(number: float) -> str:
    """Return bytes rounded for people: `87Mi`, `1.4Gi`."""
    mebibytes = round(number / MIB)
    if mebibytes < GIB // MIB:
        return f"{mebibytes}Mi"
    return f"{number / GIB:.1f}Gi".replace(".0Gi", "Gi")


def exact_cores(number: Decimal) -> str:
    """Return cores as a quantity in thousandths, or whole: `500m`, `2`."""
    thousandths = int((number * 1000).to_integral_value(rounding="ROUND_CEILING"))
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"
