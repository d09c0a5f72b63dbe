"""Where this process runs: on a laptop or on the cluster."""

import enum
import os
from pathlib import Path

VARIABLE = "GROCER_ENVIRONMENT"
"""Environment variable: which of the two."""

DATA = "GROCER_DATA"
"""Environment variable: the laptop's folder for everything that the grocer stores."""

FLYER_IMAGE = "GROCER_FLYER_IMAGE"
"""Environment variable: image of the container beside the flyer's step; absent: there is none."""


class Environment(enum.StrEnum):
    """What the code runs against; the assets are the same in both."""

    LOCAL = "local"
    """DuckDB and a folder of this machine."""
    CLUSTER = "cluster"
    """PostgreSQL and an object store."""


def current() -> Environment:
    """Return the environment that `GROCER_ENVIRONMENT` names; `local` if it is not set.

    Raises:
        ValueError: it names another.
    """
    name = os.environ.get(VARIABLE, Environment.LOCAL)
    if name not in list(Environment):
        allowed = " or ".join(repr(str(environment)) for environment in Environment)
        raise ValueError(f"{VARIABLE} is {name!r}, and must be {allowed}.")
    return Environment(name)


def data() -> Path:
    """Return the laptop's data folder; `build/grocer` here if `GROCER_DATA` is not set."""
    return Path(os.environ.get(DATA, "build/grocer")).absolute()


def flyer_image() -> str | None:
    """Return the image of the container beside the flyer's step; None where there shall be none."""
    return os.environ.get(FLYER_IMAGE) or None
