"""The largest step of a code location."""

import pytest

from bulkhead import names
from bulkhead.kube.quantities import GIB, QuantityError
from bulkhead.steps import sentences
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.verdicts import Cause, Verdict

ML = Ceiling("ml", {"cpu": "2", "memory": "8Gi", "ephemeral-storage": "10Gi"})


def test_the_ceiling_is_what_the_platform_put_into_the_pods_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(names.CODE_LOCATION_ENV, "ml")
    monkeypatch.setenv(names.CEILING_ENV, '{"cpu": "2", "memory": "8Gi"}')
    assert Ceiling.of_environment() == Ceiling("ml", {"cpu": "2", "memory": "8Gi"})
    assert Ceiling.of_environment().memory == 8 * GIB


@pytest.mark.parametrize("setting", [None, "", "{}"])
def test_without_the_platforms_settings_there_is_no_ceiling(
    setting: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(names.CODE_LOCATION_ENV, raising=False)
    monkeypatch.delenv(names.CEILING_ENV, raising=False)
    if setting is not None:
        monkeypatch.setenv(names.CEILING_ENV, setting)
    ceiling = Ceiling.of_environment()
    assert ceiling.memory is None
    assert ceiling.excess({"limits": {"memory": "999Ti"}}) is None


def test_more_than_the_ceiling_is_refused_with_both_amounts_and_the_admins_setting() -> None:
    excess = ML.excess({"limits": {"memory": "16Gi", "cpu": "1"}})
    verdict = Verdict(Cause.ABOVE_CEILING, "train", excess=excess, location="ml")
    assert sentences.of_verdict(verdict) == (
        "Step train requests memory 16Gi; the ceiling of code location ml is 8Gi, set by the "
        "platform admin in codeLocations.ml.ceiling. Request less, or ask the admin to raise the "
        "ceiling."
    )


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"limits": {"cpu": "2001m"}}, "cpu 2001m"),
        ({"limits": {"memory": "8193Mi"}}, "memory 8193Mi"),
        ({"limits": {"memory": str(8 * GIB + 1)}}, f"memory {8 * GIB + 1}"),
        ({"limits": {"ephemeral-storage": "11Gi"}}, "ephemeral-storage 11Gi"),
        ({"requests": {"memory": "9Gi"}}, "memory 9Gi"),
        ({"limits": {"memory": "8Gi"}, "requests": {"cpu": 3}}, "cpu 3"),
    ],
)
def test_limits_and_requests_of_every_resource_are_held_to_it(
    resources: dict[str, dict[str, str]], said: str
) -> None:
    excess = ML.excess(resources)
    assert excess
    assert f"{excess.resource} {excess.requested}" == said
    assert excess.allowed == ML.amounts[excess.resource]


@pytest.mark.parametrize(
    "resources",
    [
        {},
        {"limits": {"cpu": "2", "memory": "8Gi"}, "requests": {"cpu": "2000m", "memory": "8192Mi"}},
        {"limits": None, "requests": None},
        {"limits": {"nvidia.com/gpu": "4"}},
    ],
)
def test_the_ceiling_itself_is_allowed_and_so_is_what_it_does_not_name(
    resources: dict[str, dict[str, str]],
) -> None:
    assert ML.excess(resources) is None


def test_an_amount_that_is_no_quantity_is_said_to_be_none() -> None:
    with pytest.raises(QuantityError, match=r"^'16 gigs' is not a valid Kubernetes quantity"):
        ML.excess({"limits": {"memory": "16 gigs"}})
