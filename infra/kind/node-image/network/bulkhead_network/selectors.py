"""Label selectors, as NetworkPolicy uses them for pods and for namespaces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label; `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds_for(self, labels: Labels) -> bool:
        """Say whether the labels meet it. A label that is missing meets NotIn, as in the API.

        Raises:
            ValueError: the operator is unknown. Taking it for either answer could open a wall.
        """
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
            case _:
                raise ValueError(
                    f"label selector operator {self.operator!r} on {self.key!r}: "
                    "expected In, NotIn, Exists or DoesNotExist"
                )


@dataclass(frozen=True, slots=True)
class Selector:
    """All of its requirements together; one without requirements selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def selects(self, labels: Labels) -> bool:
        """Say whether an object with these labels is selected."""
        return all(requirement.holds_for(labels) for requirement in self.requirements)


def selector_from(spec: Mapping[str, Any]) -> Selector:
    """Read a LabelSelector of the Kubernetes API."""
    match_labels: Labels = spec.get("matchLabels") or {}
    equals = (
        Requirement(key, "In", frozenset({value})) for key, value in sorted(match_labels.items())
    )
    expressions = (
        Requirement(
            expression["key"], expression["operator"], frozenset(expression.get("values") or ())
        )
        for expression in spec.get("matchExpressions") or ()
    )
    return Selector((*equals, *expressions))
