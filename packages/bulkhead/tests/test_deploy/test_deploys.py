"""Whether a call of several deploys succeeded."""

import pytest

from bulkhead.deploy import deploys
from bulkhead.deploy.location import Outcome, Result


@pytest.mark.parametrize(
    ("results", "succeeded"),
    [
        (["live"], True),
        (["unchanged", "unchanged"], True),
        (["live", "not registered"], True),
        (["live", "failed"], False),
        (["not registered", "not registered"], False),
    ],
)
def test_a_failed_deploy_or_no_known_location_is_a_failure(
    results: list[Result], *, succeeded: bool
) -> None:
    outcomes = [Outcome(f"shop-{n}", result, None, 1.0) for n, result in enumerate(results)]
    assert deploys.succeeded(outcomes) is succeeded
