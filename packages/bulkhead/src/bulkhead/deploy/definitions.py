"""What the live image defines, kept in a ConfigMap, so that the next deploy can compare."""

import base64
import gzip
import json
from typing import Final

from bulkhead import names
from bulkhead.code_location.summary import Summary
from bulkhead.kube import config_maps
from bulkhead.kube.api import KubernetesApi
from bulkhead.kube.objects import part

_IMAGE: Final = "image"
_SUMMARY: Final = "summary.json.gz"


def read(api: KubernetesApi, namespace: str, location: str, image: str | None) -> Summary | None:
    """Return what an image defines; None if it is not known of this image.

    Raises:
        KubernetesApiError: The API server does not answer, or rejects the request.
    """
    found = config_maps.read(api, namespace, names.deploy_definitions(location))
    if found is None or image is None or part(found, "data").get(_IMAGE) != image:
        return None
    packed = str(part(found, "binaryData").get(_SUMMARY) or "")
    try:
        return Summary.of_json(json.loads(gzip.decompress(base64.b64decode(packed))))
    except (ValueError, OSError, EOFError):
        return None


def write(api: KubernetesApi, namespace: str, location: str, image: str, found: Summary) -> None:
    """Keep what an image defines, instead of what an earlier one does.

    Raises:
        KubernetesApiError: The API server does not answer, or rejects the request.
    """
    name = names.deploy_definitions(location)
    packed = base64.b64encode(gzip.compress(json.dumps(found.as_json()).encode(), mtime=0)).decode()
    content = {"data": {_IMAGE: image}, "binaryData": {_SUMMARY: packed}}
    before = config_maps.read(api, namespace, name)
    config_maps.write(api, namespace, name, location=location, before=before, content=content)
