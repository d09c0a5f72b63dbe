"""The settings of `bulkhead deploy` for this machine and this cluster."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bulkhead_kind import registry
from bulkhead_kind.engine import Engine
from bulkhead_kind.paths import BUILD

FILE = BUILD / "git" / "settings.toml"

_ENGINE_VARIABLES = ("CONTAINERS_CONF",)


def write(engine: Engine, *, base: str, pull_from: str, build_options: Sequence[str]) -> Path:
    """Write the settings file, and return its path.

    Args:
        engine: Builds images.
        base: The base image.
        pull_from: The registry that pods pull from.
        build_options: Further options of the engine's build command.
    """
    push_to = pull_from
    if pull_from == registry.ADDRESS:
        push_to = f"{registry.LOCAL_HOST}:{registry.LOCAL_PORT}"
    settings: dict[str, str | list[str]] = {
        "registry": f"{pull_from}/bulkhead",
        "push-to": f"{push_to}/bulkhead",
        "base-image": base,
        "engine": engine.name,
        "build-options": list(build_options),
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    # A JSON string or list of strings is also one in TOML.
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    FILE.write_text("\n".join(["# Written by `make up`.", "[deploy]", *lines, ""]))
    return FILE


def environment(engine: Engine) -> Mapping[str, str]:
    """Return the variables that the engine needs when `bulkhead deploy` calls it."""
    return engine.environment
