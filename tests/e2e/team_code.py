"""Code locations whose code a test writes: a ConfigMap beside the image of `hello`."""

from __future__ import annotations

import hashlib
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

if TYPE_CHECKING:
    from tests.e2e.cluster import Kube

FOLDER = "/opt/team"


def values(kube: Kube, namespace: str, source: str) -> dict[str, Any]:
    """Put a module into the cluster; return the code-location chart's values that load it.

    The values differ with the source, as they do with the digest of an image.
    """
    source = dedent(source)
    name = f"code-{hashlib.sha256(source.encode()).hexdigest()[:10]}"
    config_map = client.V1ConfigMap(
        metadata=client.V1ObjectMeta(name=name), data={"definitions.py": source}
    )
    try:
        kube.core.create_namespaced_config_map(namespace, config_map)
    except ApiException as error:
        if error.status != 409:  # the same code is there already
            raise
    return {
        "definitions": {"file": f"{FOLDER}/definitions.py"},
        "volumes": [{"name": "team-code", "configMap": {"name": name}}],
        "volumeMounts": [{"name": "team-code", "mountPath": FOLDER, "readOnly": True}],
    }
