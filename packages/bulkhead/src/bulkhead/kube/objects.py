"""Typed access to Kubernetes objects, which are JSON of the API and have no types of their own."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

Object = Mapping[str, Any]
"""A Kubernetes object, or a part of one."""


def part(value: Object, *keys: str) -> Object:
    """Return the object under a path of keys; empty where it is absent or null."""
    for key in keys:
        value = cast("Object", value.get(key) or {})
    return value


def parts(value: Object, *keys: str) -> Sequence[Object]:
    """Return the list of objects under a path of keys; empty where it is absent or null."""
    *path, last = keys
    return cast("Sequence[Object]", part(value, *path).get(last) or ())


def labels(value: Object) -> Mapping[str, str]:
    """Return the labels of an object."""
    return part(value, "metadata", "labels")


def annotations(value: Object) -> Mapping[str, str]:
    """Return the annotations of an object."""
    return part(value, "metadata", "annotations")


def condition(value: Object, kind: str) -> Object | None:
    """Return the condition of this type from an object's status; None where it has none."""
    found = parts(value, "status", "conditions")
    return next((each for each in found if each.get("type") == kind), None)
