"""All deploys of one call: several code locations beside each other."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Final

from bulkhead.deploy.image_stage import ImageStage, build_image
from bulkhead.deploy.location import Action, LocationDeploy, Outcome
from bulkhead.deploy.means import Means
from bulkhead.deploy.sources import CodeFolder

# A location that hangs must not delay the others; more at once would only compete for the machine.
_AT_ONCE: Final = 4


def run(
    means: Means,
    targets: Sequence[CodeFolder],
    *,
    check_only: bool = False,
    again: bool = False,
    are_named: bool = False,
    action: Action = "deploy",
    image: ImageStage = build_image,
) -> list[Outcome]:
    """Deploy code locations, up to four at a time; report how each ended.

    A location that fails does not stop the others.

    Args:
        means: What the deploys share.
        targets: The code locations.
        check_only: End after the load check.
        again: Run the stages also where the image is live already.
        are_named: The caller named each of them. Otherwise those that the platform does not know
            are left out.
        action: For the history.
        image: The stage that gets the image.
    """
    began = time.monotonic()

    def deploy(target: CodeFolder) -> Outcome:
        outcome = LocationDeploy(
            means, target, check_only=check_only, again=again, action=action, image=image
        ).run()
        if outcome.result != "not registered":
            return outcome
        if not are_named:
            means.report.location(target.name, "not registered on this platform, left out")
            return outcome
        means.report.failure(target.name, "lock", outcome.reason or "", "")
        return replace(outcome, result="failed")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(deploy, targets))
    seconds = time.monotonic() - began
    means.report.end(
        _summary(outcomes, seconds, means.environment),
        outcomes=[asdict(each) for each in outcomes],
        seconds=round(seconds, 1),
    )
    return outcomes


def succeeded(outcomes: Sequence[Outcome]) -> bool:
    """Say whether no deploy failed, and the platform knows at least one of the locations."""
    results = {each.result for each in outcomes}
    return "failed" not in results and results != {"not registered"}


def _summary(outcomes: Sequence[Outcome], seconds: float, environment: str | None) -> str:
    known = [each for each in outcomes if each.result != "not registered"]
    if not known:
        return (
            "no code location of this repository is registered; check `namespace` and the context"
        )
    names = {
        result: [each.location for each in known if each.result == result]
        for result in ("live", "checked", "failed")
    }
    done = "checked" if names["checked"] else "deployed"
    count = len(names["checked"] or names["live"])
    locations = "code location" if len(known) == 1 else "code locations"
    parts = [f"{done} {count} of {len(known)} {locations} in {seconds:.0f} s"]
    if names["failed"]:
        parts.append(f"failed: {', '.join(names['failed'])}")
    if len(names["live"]) == 1:
        option = f" --environment {environment}" if environment else ""
        parts.append(f"undo: bulkhead rollback {names['live'][0]}{option}")
    return " · ".join(parts)
