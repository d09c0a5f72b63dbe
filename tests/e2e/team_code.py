"""Code locations whose code is in a test: a ConfigMap, with the image of `hello`."""

from __future__ import annotations

import hashlib
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from tests.e2e.cluster import ApiException, status_of

if TYPE_CHECKING:
    from tests.e2e.cluster import Kube

FOLDER = "/opt/team"


def values(kube: Kube, namespace: str, source: str) -> dict[str, Any]:
    """Create a ConfigMap with a module; return the code-location chart's values that load it.

    Other source gives other values, as another image gives another digest.
    """
    source = dedent(source)
    name = f"code-{hashlib.sha256(source.encode()).hexdigest()[:10]}"
    config_map = {"metadata": {"name": name}, "data": {"definitions.py": source}}
    try:
        kube.core.create_namespaced_config_map(namespace, config_map)
    except ApiException as error:
        if status_of(error) != 409:  # this code exists already
            raise
    return {
        "definitions": {"file": f"{FOLDER}/definitions.py"},
        "volumes": [{"name": "team-code", "configMap": {"name": name}}],
        "volumeMounts": [{"name": "team-code", "mountPath": FOLDER, "readOnly": True}],
    }
