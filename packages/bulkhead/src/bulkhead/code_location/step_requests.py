"""What the steps of a code location request, and which of them request too much."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from dagster import GraphDefinition, JobDefinition

from bulkhead import names
from bulkhead.code_location.summary import AboveCeiling, Step
from bulkhead.kube.objects import Object, part
from bulkhead.kube.quantities import exact_bytes
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.resources import StepResources

_K8S_CONFIG_TAG: Final = "dagster-k8s/config"

_Request = tuple[Step, AboveCeiling | None]


class StepRequests:
    """Collects the requests of steps, job by job.

    The same step key may stand for different steps in two jobs. Then its name says the jobs.
    """

    def __init__(self) -> None:
        """Begin with no step, and the ceiling and the default steps of this pod's settings."""
        self.ceiling: Final = Ceiling.of_environment()
        self._defaults = _default_resources()
        self._jobs: dict[str, dict[_Request, list[str]]] = {}

    def add(self, job: JobDefinition) -> None:
        """Take the steps of a job."""
        for key, tags in _steps(job.graph, ""):
            jobs = self._jobs.setdefault(key, {})
            jobs.setdefault(self._request(tags), []).append(job.name)

    def by_key(self) -> dict[str, Step]:
        """Return the steps that request resources themselves."""
        return {key: step for key, (step, _) in self._named() if step != Step()}

    def above_ceiling(self) -> dict[str, AboveCeiling]:
        """Return what steps request above the ceiling, by step."""
        return {key: excess for key, (_, excess) in self._named() if excess}

    def _named(self) -> Iterator[tuple[str, _Request]]:
        for key, requests in self._jobs.items():
            for request, jobs in requests.items():
                yield key if len(requests) == 1 else f"{key} in {', '.join(sorted(jobs))}", request

    def _request(self, tags: Mapping[str, str]) -> _Request:
        own = StepResources.of_tags(tags)
        tagged = _tagged_resources(tags)
        resources = {
            kind: {
                **part(self._defaults, kind),
                **part(tagged, kind),
                **part(own.container_resources(), kind),
            }
            for kind in ("requests", "limits")
        }
        limits = {**part(tagged, "limits"), **part(own.container_resources(), "limits")}
        step = Step(
            cpu=_text(limits.get("cpu")),
            memory=_text(limits.get("memory")),
            max_memory=None if own.max_memory is None else exact_bytes(own.max_memory),
            timeout=own.timeout,
        )
        excess = self.ceiling.excess(resources)
        return step, AboveCeiling(*excess) if excess else None


def _steps(graph: GraphDefinition, path: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield step key and tags of each op of a graph, and of the graphs in it."""
    for node in graph.nodes:
        key = f"{path}{node.name}"
        if isinstance(node.definition, GraphDefinition):
            yield from _steps(node.definition, f"{key}.")
        else:
            yield key, node.tags


def _default_resources() -> Object:
    """Return the `resources` that the code location gives to steps that request none."""
    context: Any = json.loads(os.environ.get(names.CONTAINER_CONTEXT_ENV) or "{}")
    return part(context, "k8s", "resources")


def _tagged_resources(tags: Mapping[str, str]) -> Object:
    """Return the `resources` of Dagster's own tag."""
    config: Any = tags.get(_K8S_CONFIG_TAG) or {}
    if isinstance(config, str):
        config = json.loads(config)
    return part(cast("Object", config), "container_config", "resources")


def _text(amount: object) -> str | None:
    return None if amount is None else str(amount)
