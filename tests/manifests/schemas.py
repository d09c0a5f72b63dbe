"""Kubernetes' own schemas, of the oldest and the newest version that the charts are tested against.

They come with the package kubernetes-validate; its own `validate` reads a file of several megabytes
for each object, so the files are read here, once.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import kubernetes_validate
from referencing import Registry, Resource

if TYPE_CHECKING:
    from tests.manifests.render import Manifest

VERSIONS = ("1.31.0", kubernetes_validate.latest_version())
"""The charts' `kubeVersion`, and the newest that the locked package knows."""

_SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"


def violations(manifest: Manifest, version: str) -> list[str]:
    """Return what a Kubernetes of that version would refuse, unknown fields included."""
    kind = manifest["kind"].lower()
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", manifest["apiVersion"])
    validator: Any = _validator(version, f"{kind}-{group}.json")
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


@cache
def _validator(version: str, name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((_folder(version) / name).read_text())
    return jsonschema.Draft202012Validator(schema, registry=_registry(version))


@cache
def _registry(version: str) -> Registry[Any]:
    definitions = json.loads((_folder(version) / "_definitions.json").read_text())
    registry: Registry[Any] = Registry()
    return Resource.from_contents(definitions) @ registry


def _folder(version: str) -> Path:
    return _SCHEMAS / f"v{version}-local-strict"
