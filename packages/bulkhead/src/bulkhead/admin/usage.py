"""Reads what the steps of the newest runs used, from their event logs through the web server."""

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast

from bulkhead.admin.advice import Attempt, End, Step
from bulkhead.kube.quantities import QuantityError, parse
from bulkhead.steps.verdicts import Cause
from bulkhead.steps.worker import USAGE_KEYS
from bulkhead.webserver_api import runs
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import ReportedError

Object = Mapping[str, Any]
"""A run or an event as GraphQL's JSON."""

_PEAK_MEMORY, _MEMORY_LIMIT, _CPU_SECONDS = USAGE_KEYS
_OOM_KILLS: Final = "oom_kills"
_CAUSE: Final = "cause"

_LOCATION_TAG: Final = "dagster/code_location"
_DYNAMIC_PART: Final = re.compile(r"\[[^\]]*\]")

_PARALLEL: Final = 4  # the web server is one process, which people use at the same time

_RUN_FIELDS: Final = "jobName repositoryOrigin { repositoryLocationName }"

_EVENT_FIELDS: Final = """
  ... on MessageEvent { eventType stepKey timestamp }
  ... on EngineEvent { metadataEntries { ...Entry } }
  ... on ExecutionStepFailureEvent { failureMetadata { metadataEntries { ...Entry } } }
"""

_EVENT_FRAGMENTS: Final = """fragment Entry on MetadataEntry {
  label
  ... on IntMetadataEntry { intRepr }
  ... on FloatMetadataEntry { floatRepr }
  ... on TextMetadataEntry { text }
}"""

_RUN_NOT_FOUND: Final = "RunNotFoundError"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the steps of some runs used."""

    runs: int
    """Number of finished runs that were read, at most the number requested."""
    attempts: tuple[Attempt, ...]
    """Those of the newest run first, and in each run in the order of its log."""


def read(client: GraphQLClient, *, location: str | None, job: str | None, most: int) -> Usage:
    """Read what steps used in the newest finished runs.

    Args:
        client: The web server of the platform.
        location: Only runs of this code location; None takes all.
        job: Only runs of the job of this name; None takes all.
        most: The largest number of runs.

    Raises:
        WebServerError: The web server did not answer, or answered with an error.
    """
    filters = {
        "statuses": sorted(runs.ENDED),
        "tags": [{"key": _LOCATION_TAG, "value": location}] if location else [],
        **({"pipelineName": job} if job else {}),
    }
    found = runs.newest(client, most=most, fields=_RUN_FIELDS, filters=filters)

    def read_run(run: Object) -> list[Attempt]:
        return [*attempts_of(run, _events(client, run))]

    with ThreadPoolExecutor(_PARALLEL) as pool:
        attempts = pool.map(read_run, found)
        return Usage(len(found), tuple(each for some in attempts for each in some))


def _events(client: GraphQLClient, run: Object) -> Iterator[Object]:
    try:
        yield from runs.events(client, run["runId"], _EVENT_FIELDS, _EVENT_FRAGMENTS)
    except ReportedError as error:
        if error.type_name != _RUN_NOT_FOUND:  # else it was deleted since it was listed
            raise


def attempts_of(run: Object, events: Iterable[Object]) -> Iterator[Attempt]:
    """Return what the attempts at a run's steps used, in the order of the run's events."""
    origin = cast("Mapping[str, str]", run["repositoryOrigin"] or {})
    location = origin.get("repositoryLocationName", "-")
    started: dict[str, float] = {}
    succeeded: set[str] = set()
    for event in events:
        key = event["stepKey"]
        if not key:
            continue
        kind = event["eventType"]
        at = float(event["timestamp"]) / 1000
        if kind == "STEP_WORKER_STARTED":
            started[key] = at
            succeeded.discard(key)
        elif kind == "STEP_SUCCESS":
            succeeded.add(key)
        elif kind in {"ENGINE_EVENT", "STEP_FAILURE"}:
            step = Step(location, run["jobName"], _DYNAMIC_PART.sub("", key))
            seconds = at - started[key] if key in started else None
            attempt = _attempt(step, _facts(event), key in succeeded, seconds)
            if attempt:
                yield attempt


def _attempt(
    step: Step, facts: Mapping[str, str], has_succeeded: bool, seconds: float | None
) -> Attempt | None:
    limit, peak, cpu_seconds = (
        _number(facts, key) for key in (_MEMORY_LIMIT, _PEAK_MEMORY, _CPU_SECONDS)
    )
    if facts.get(_CAUSE) == Cause.OUT_OF_MEMORY.value:
        # The pod ended before it could report its use, which was at least its limit.
        return Attempt(step, End.OUT_OF_MEMORY, int(limit), int(limit)) if limit else None
    if peak is None:
        return None
    # A process of the step was OOM-killed, not the step. The use is measured ten times a second, so
    # the largest use may have been missed.
    is_oom = _number(facts, _OOM_KILLS) and limit
    return Attempt(
        step,
        End.OUT_OF_MEMORY if is_oom else End.SUCCEEDED if has_succeeded else End.OTHER,
        memory=int(max(peak, limit) if is_oom and limit else peak),
        limit=int(limit) if limit else None,
        cpu_seconds=None if cpu_seconds is None else float(cpu_seconds),
        seconds=seconds,
    )


def _facts(event: Object) -> dict[str, str]:
    holder = event.get("failureMetadata") or event
    return {
        entry["label"]: value
        for entry in cast("list[Object]", holder.get("metadataEntries") or [])
        if (value := entry.get("intRepr") or entry.get("floatRepr") or entry.get("text"))
    }


def _number(facts: Mapping[str, str], key: str) -> Decimal | None:
    """Return a number or a quantity such as 512Mi as a number; None if it is neither."""
    try:
        return parse(facts[key]) if key in facts else None
    except QuantityError:
        return None
