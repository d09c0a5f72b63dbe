"""Adds a layer to an image: manifest and configuration only, no engine."""

from collections.abc import Mapping
from typing import Any, cast

from bulkhead.images.layer import Layer
from bulkhead.registry.manifests import Descriptor, Image


def append(
    base: Image, layer: Layer, *, created: str, created_by: str, labels: Mapping[str, str]
) -> Image:
    """Return an image with one more layer; everything else stays as in the base.

    Args:
        base: The layers below.
        layer: The layer on top.
        created: Time of the image and of the layer, as in RFC 3339.
        created_by: Shown in the history of the image.
        labels: Added to those of the base.
    """
    config = dict(base.config)
    settings = _table(config, "config")
    filesystem = _table(config, "rootfs")
    diff_ids = cast("list[str]", filesystem.get("diff_ids") or [])
    history = cast("list[Mapping[str, Any]]", config.get("history") or [])
    config |= {
        "created": created,
        "config": {**settings, "Labels": {**base.labels, **labels}},
        "rootfs": {"type": "layers", "diff_ids": [*diff_ids, layer.diff_id]},
        "history": [*history, {"created": created, "created_by": created_by}],
    }
    descriptor = Descriptor(base.format.layer, layer.digest, layer.size)
    return Image(base.format, config, (*base.layers, descriptor))


def _table(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", config.get(key) or {})
