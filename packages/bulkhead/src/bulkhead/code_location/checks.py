"""What is refused while a team's code is loaded: steps that ask for nonsense."""

import functools
import json
from collections.abc import Mapping
from typing import Any, cast

from dagster import DagsterInvalidDefinitionError, OpDefinition

from bulkhead.kube import quantities
from bulkhead.kube.quantities import QuantityError
from bulkhead.steps.resources import StepResources, StepResourcesError

_K8S_CONFIG_TAG = "dagster-k8s/config"


def refuse_nonsense() -> None:
    """Have every op and asset refused that asks for resources that make no sense.

    The place is the definition of the op, because there its name is known and the traceback ends
    in the line of the team's code that is to be changed. Only what is looked at is ours; the
    definition is made as ever.
    """
    make: Any = OpDefinition.__init__

    @functools.wraps(make)
    def make_if_sensible(self: OpDefinition, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        make(self, *args, **kwargs)
        check_tags(self.name, self.tags)

    OpDefinition.__init__ = make_if_sensible


def check_tags(op: str, tags: Mapping[str, Any]) -> None:
    """Raise DagsterInvalidDefinitionError where an op's tags ask for what makes no sense."""
    try:
        StepResources.of_tags(tags)
        _check_kubernetes_config(tags.get(_K8S_CONFIG_TAG))
    except (StepResourcesError, QuantityError) as error:
        raise DagsterInvalidDefinitionError(f"op {op}: {error}") from error


def _check_kubernetes_config(config: object) -> None:
    """Check the amounts in Dagster's own tag; its shape Dagster checks itself."""
    if isinstance(config, str):
        config = json.loads(config)
    resources = _part(_part(config, "container_config"), "resources")
    for kind in ("limits", "requests"):
        for resource, amount in _part(resources, kind).items():
            where = f"tag {_K8S_CONFIG_TAG}, resources.{kind}.{resource}"
            _check_amount(where, amount)


def _part(config: object, key: str) -> Mapping[str, Any]:
    part = cast("Mapping[str, Any]", config).get(key) if isinstance(config, Mapping) else None
    return cast("Mapping[str, Any]", part) if isinstance(part, Mapping) else {}


def _check_amount(where: str, amount: Any) -> None:  # noqa: ANN401 - whatever stands there
    try:
        quantities.parse(amount)
    except QuantityError as error:
        raise QuantityError(f"{where}: {error}") from error
