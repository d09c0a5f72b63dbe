"""Quantities as Kubernetes reads them, and the words that people get instead."""

from decimal import Decimal

import pytest

from bulkhead.kube import quantities
from bulkhead.kube.quantities import GIB, KIB, MIB, QuantityError


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        ("0", "0"),
        ("2", "2"),
        ("+2", "2"),
        ("007", "7"),
        ("1.5", "1.5"),
        ("1.", "1"),
        (".5", "0.5"),
        ("500m", "0.5"),
        ("100u", "0.0001"),
        ("100n", "0.0000001"),
        ("128974848000m", "128974848"),
        ("1k", "1000"),
        ("129M", "129000000"),
        ("1.5G", "1500000000"),
        ("2T", "2000000000000"),
        ("3P", "3000000000000000"),
        ("4E", "4000000000000000000"),
        ("1Ki", "1024"),
        ("123Mi", "128974848"),
        ("1.5Gi", "1610612736"),
        ("1Ti", "1099511627776"),
        ("1Pi", "1125899906842624"),
        ("1Ei", "1152921504606846976"),
        ("129e6", "129000000"),
        ("1.29E8", "129000000"),
        ("12e+2", "1200"),
        ("5e-3", "0.005"),
        ("1e-07", "0.0000001"),
    ],
)
def test_every_form_of_kubernetes_is_read_as_kubernetes_reads_it(
    quantity: str, number: str
) -> None:
    assert quantities.parse(quantity) == Decimal(number)


def test_numbers_of_python_are_quantities_too() -> None:
    assert quantities.parse(2) == 2
    assert quantities.parse(0.25) == Decimal("0.25")
    assert quantities.parse(1e-7) == Decimal("1e-7")


def test_a_bare_e_is_exa_and_with_digits_an_exponent() -> None:
    assert quantities.parse("1E") == 10**18
    assert quantities.parse("1E1") == 10


@pytest.mark.parametrize("quantity", ["8Ei", "9223372036854775808", "1e30", "1E999", "9" * 5000])
def test_what_is_too_large_to_count_is_the_largest_number(quantity: str) -> None:
    assert quantities.parse(quantity) == 2**63 - 1
    assert quantities.exact_bytes(quantities.parse_bytes(quantity)) == str(2**63 - 1)


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        " ",
        "lots",
        "1 Gi",
        " 1Gi",
        "1Gi ",
        "1Gi\n",
        "1gi",
        "1GB",
        "1K",
        "1ki",
        "1mi",
        "1MiB",
        "1mm",
        "1e",
        "1e3Mi",
        "1e1.5",
        "1e9999999",
        "1.2.3",
        ".",
        "1,5Gi",
        "1_000",
        "0x10",
        "٣Gi",
        "m",
        "Mi",
        float("nan"),
        float("inf"),
        None,
        True,
        ["1Gi"],
    ],
)
def test_nonsense_is_refused_with_its_value_and_examples_of_sense(nonsense: object) -> None:
    with pytest.raises(QuantityError) as refused:
        quantities.parse(nonsense)  # type: ignore[arg-type]
    assert str(refused.value) == (
        f"{str(nonsense)!r} is not a valid Kubernetes quantity; one is a number with or "
        "without a unit, such as 500m or 2 (cores), 512Mi or 1.5Gi (bytes)"
    )


@pytest.mark.parametrize("quantity", ["-1", "-0.5Gi", "-500m", -3])
def test_a_negative_quantity_is_refused_as_one(quantity: str | int) -> None:
    with pytest.raises(QuantityError, match=rf"^'{quantity}' is negative$"):
        quantities.parse(quantity)


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("1.5Gi", 1536 * MIB), ("0.3Ki", 308), ("1500m", 2), ("1n", 1), ("0", 0), ("1e3", 1000)],
)
def test_bytes_are_whole_and_never_fewer_than_were_asked_for(quantity: str, number: int) -> None:
    assert quantities.parse_bytes(quantity) == number


@pytest.mark.parametrize(
    ("number", "quantity"),
    [
        (0, "0"),
        (1, "1"),
        (1000, "1000"),
        (KIB, "1Ki"),
        (1500 * KIB, "1500Ki"),
        (512 * MIB, "512Mi"),
        (1536 * MIB, "1536Mi"),
        (GIB, "1Gi"),
        (1024 * GIB, "1024Gi"),
        (GIB + 1, "1073741825"),
    ],
)
def test_exact_bytes_are_short_and_come_back_as_the_same_number(number: int, quantity: str) -> None:
    assert quantities.exact_bytes(number) == quantity
    assert quantities.parse_bytes(quantity) == number


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0Mi"),
        (87.4 * MIB, "87Mi"),
        (1023.4 * MIB, "1023Mi"),
        (1023.7 * MIB, "1Gi"),
        (GIB, "1Gi"),
        (1.44 * GIB, "1.4Gi"),
        (1.97 * GIB, "2Gi"),
        (10 * GIB, "10Gi"),
        (100.06 * GIB, "100.1Gi"),
    ],
)
def test_readable_bytes_are_what_a_person_would_say(number: float, words: str) -> None:
    assert quantities.readable_bytes(number) == words


@pytest.mark.parametrize(
    ("number", "quantity"),
    [("2", "2"), ("0.5", "500m"), ("1.25", "1250m"), ("0.0001", "1m"), ("10", "10")],
)
def test_cores_are_whole_or_thousandths_and_never_fewer_than_were_asked_for(
    number: str, quantity: str
) -> None:
    assert quantities.exact_cores(Decimal(number)) == quantity
    assert quantities.parse(quantity) >= Decimal(number)
