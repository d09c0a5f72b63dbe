"""What the last images define, kept in a ConfigMap, so that the next deploy can compare."""

import base64
import gzip
import json
from typing import Final

from bulkhead import names
from bulkhead.code_location.summary import Summary
from bulkhead.kube import config_maps
from bulkhead.kube.api import KubernetesApi
from bulkhead.kube.objects import part

_KEPT: Final = 5
"""Images; a rollback makes an earlier one live."""

_LARGEST_BYTES: Final = 900_000
"""A ConfigMap has at most 1 MiB."""

_ORDER: Final = "order"


def read(api: KubernetesApi, namespace: str, location: str, image: str | None) -> Summary | None:
    """Return what an image defines; None if it is not known.

    Raises:
        KubernetesApiError: The API server does not answer, or rejects the request.
    """
    found = config_maps.read(api, namespace, names.deploy_definitions(location))
    packed = part(found or {}, "binaryData").get(_key(image or ""))
    if packed is None:
        return None
    try:
        return Summary.of_json(json.loads(gzip.decompress(base64.b64decode(str(packed)))))
    except (ValueError, OSError, EOFError):
        return None


def write(api: KubernetesApi, namespace: str, location: str, image: str, found: Summary) -> None:
    """Keep what an image defines; forget the oldest of many images.

    Raises:
        KubernetesApiError: The API server does not answer, or rejects the request.
    """
    name = names.deploy_definitions(location)
    before = config_maps.read(api, namespace, name)
    kept: dict[str, str] = dict(part(before or {}, "binaryData"))
    order = str(part(before or {}, "data").get(_ORDER, "")).split()
    text = gzip.compress(json.dumps(found.as_json()).encode(), mtime=0)
    kept[_key(image)] = base64.b64encode(text).decode()
    order = [*(each for each in order if each != _key(image) and each in kept), _key(image)]
    while len(order) > _KEPT or (len(order) > 1 and _size(kept, order) > _LARGEST_BYTES):
        order.pop(0)
    content = {
        "data": {_ORDER: " ".join(order)},
        "binaryData": {key: kept[key] for key in order},
    }
    config_maps.write(api, namespace, name, location=location, before=before, content=content)


def _key(image: str) -> str:
    """Return the digest of an image as a key of a ConfigMap."""
    return image.rpartition("@")[2].replace(":", "-") or "none"


def _size(kept: dict[str, str], order: list[str]) -> int:
    return sum(len(kept[key]) for key in order)
