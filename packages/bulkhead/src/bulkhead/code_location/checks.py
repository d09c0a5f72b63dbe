"""Rejects steps that request invalid resources, while a team's code is loaded."""

import functools
import json
from collections.abc import Mapping
from typing import Any, cast

from dagster import DagsterInvalidDefinitionError, OpDefinition

from bulkhead.kube import quantities
from bulkhead.kube.quantities import QuantityError
from bulkhead.steps.resources import StepResources, StepResourcesError

_K8S_CONFIG_TAG = "dagster-k8s/config"


def reject_invalid_resources() -> None:
    """Make the definition of an op or asset fail if it requests invalid resources.

    The check runs when the op is defined: its name is known there, and the traceback ends at the
    line of the team's code that has to change. Otherwise the definition is as Dagster makes it.
    """
    make: Any = OpDefinition.__init__

    @functools.wraps(make)
    def make_if_valid(self: OpDefinition, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        make(self, *args, **kwargs)
        check_tags(self.name, self.tags)

    OpDefinition.__init__ = make_if_valid


def check_tags(op: str, tags: Mapping[str, Any]) -> None:
    """Raise DagsterInvalidDefinitionError if the tags of an op request invalid resources."""
    try:
        StepResources.of_tags(tags)
        _check_kubernetes_config(tags.get(_K8S_CONFIG_TAG))
    except (StepResourcesError, QuantityError) as error:
        raise DagsterInvalidDefinitionError(f"op {op}: {error}") from error


def _check_kubernetes_config(config: object) -> None:
    """Check the quantities in Dagster's own tag. Dagster checks its structure."""
    if isinstance(config, str):
        config = json.loads(config)
    resources = _part(_part(config, "container_config"), "resources")
    for kind in ("limits", "requests"):
        for resource, quantity in _part(resources, kind).items():
            where = f"tag {_K8S_CONFIG_TAG}, resources.{kind}.{resource}"
            _check_quantity(where, quantity)


def _part(config: object, key: str) -> Mapping[str, Any]:
    part = cast("Mapping[str, Any]", config).get(key) if isinstance(config, Mapping) else None
    return cast("Mapping[str, Any]", part) if isinstance(part, Mapping) else {}


def _check_quantity(where: str, quantity: Any) -> None:  # noqa: ANN401 - a team may write anything there
    try:
        quantities.parse(quantity)
    except QuantityError as error:
        raise QuantityError(f"{where}: {error}") from error
