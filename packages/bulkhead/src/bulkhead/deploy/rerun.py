"""Launches a run again: with the code that is live now, or with the image that the run had.

Dagster makes the list of steps with the code that is live, in both cases. A run with its original
image fails if that code has other steps.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from bulkhead.webserver_api import runs
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.runs import Run

_CONFIG_TAG: Final = "dagster-k8s/config"
"""Raw Kubernetes settings of a run. An image in it is that of the run's pod and of its steps."""

_IMAGE_TAG: Final = "dagster/image"
"""dagster-k8s sets it when it creates the pod of a run, to the image of the pod."""

_FAILED: Final = frozenset({"FAILURE", "CANCELED"})
"""Statuses of runs that Dagster launches again from their failure."""

_CONTAINER: Final = "container_config"
_IMAGE: Final = "image"


class RerunError(Exception):
    """A run cannot be launched again as requested; `str()` says why and what to do."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """A run that was launched again.

    Attributes:
        run_id: Of the new run.
        parent: The run that it repeats.
        location: The code location.
        job: Its job.
        image: The image that the new run must have; None for that of the code that is live.
    """

    run_id: str
    parent: str
    location: str
    job: str
    image: str | None


def rerun(client: GraphQLClient, run_id: str, *, original_image: bool, from_failure: bool) -> Rerun:
    """Launch a run again, with its configuration and its tags.

    Args:
        client: The web server.
        run_id: The run.
        original_image: With the image that the run had; otherwise with the code that is live.
        from_failure: Only the steps that failed, and those after them.

    Raises:
        RerunError: The run had no image, did not fail, or its tag is not valid.
        ReportedError: The run or its job does not exist, or Dagster rejects the new run.
        WebServerError: No answer.
    """
    before = runs.run(client, run_id)
    if from_failure and before.status not in _FAILED:
        raise RerunError(
            f"Run {run_id} has status {before.status}, so no failed step can be launched again. "
            "Launch all of it: leave out --from-failure."
        )
    config = _config(before.tags, f"run {run_id}")
    wanted = _image_of(before) if original_image else _image_of_job(client, before, config)
    changed = _with_image(config, wanted)
    tags = {_CONFIG_TAG: json.dumps(changed)} if changed != config else {}
    launched = runs.reexecute(client, before, from_failure=from_failure, tags=tags)
    return Rerun(launched, run_id, before.location, before.job, wanted)


def _image_of(run: Run) -> str:
    image = run.tags.get(_IMAGE_TAG)
    if not image:
        raise RerunError(
            f"Run {run.run_id} has no image: no pod was created for it. Launch it again without "
            "--original-image."
        )
    return image


def _image_of_job(client: GraphQLClient, run: Run, config: Mapping[str, Any]) -> str | None:
    """Return the image that the code which is live names for the job; None if it names none.

    The new run gets the tags of the earlier one. If that one had its original image, its tag must
    not decide about this one.
    """
    if not config.get(_CONTAINER, {}).get(_IMAGE):
        return None
    own = _config(runs.job_tags(client, run), f"job {run.job}")
    return own.get(_CONTAINER, {}).get(_IMAGE)


def _config(tags: Mapping[str, str], owner: str) -> dict[str, Any]:
    text = tags.get(_CONFIG_TAG, "{}")
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RerunError(f"Tag {_CONFIG_TAG} of {owner} is not a JSON object: {text[:80]}")
    return cast("dict[str, Any]", found)


def _with_image(config: Mapping[str, Any], image: str | None) -> dict[str, Any]:
    container = {key: each for key, each in config.get(_CONTAINER, {}).items() if key != _IMAGE}
    if image is not None:
        container[_IMAGE] = image
    others = {key: each for key, each in config.items() if key != _CONTAINER}
    is_changed = container or _CONTAINER in config
    return {**others, _CONTAINER: container} if is_changed else others
