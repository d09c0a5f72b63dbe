"""The environment of this process: a laptop or the cluster."""

import enum
import os
from pathlib import Path

VARIABLE = "GROCER_ENVIRONMENT"
"""Environment variable: `local` or `cluster`."""

DATA = "GROCER_DATA"
"""Environment variable: the folder of the grocer's data on a laptop."""

FLYER_IMAGE = "GROCER_FLYER_IMAGE"
"""Environment variable: image of the sidecar of the flyer's step; absent: no sidecar."""


class Environment(enum.StrEnum):
    """Selects the resources; the assets are the same in both."""

    LOCAL = "local"
    """DuckDB and a folder of this machine."""
    CLUSTER = "cluster"
    """PostgreSQL and an object store."""


def current() -> Environment:
    """Return the environment in `GROCER_ENVIRONMENT`; `local` if it is not set.

    Raises:
        ValueError: the value is invalid.
    """
    name = os.environ.get(VARIABLE, Environment.LOCAL)
    if name not in list(Environment):
        allowed = " or ".join(repr(str(environment)) for environment in Environment)
        raise ValueError(f"{VARIABLE} is {name!r}. It must be {allowed}.")
    return Environment(name)


def data() -> Path:
    """Return the laptop's data folder; `build/grocer` here if `GROCER_DATA` is not set."""
    return Path(os.environ.get(DATA, "build/grocer")).absolute()


def flyer_image() -> str | None:
    """Return the image of the sidecar of the flyer's step; None: no sidecar."""
    return os.environ.get(FLYER_IMAGE) or None
