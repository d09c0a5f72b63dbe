"""The environment of this process: a laptop or the cluster."""

import enum
import os
from pathlib import Path

VARIABLE = "GROCER_ENVIRONMENT"
"""Environment variable: `local` or `cluster`."""

DATA = "GROCER_DATA"
"""Environment variable: the folder of the grocer's data on a laptop."""


class Environment(enum.StrEnum):
    """Selects the resources; the assets are the same in both."""

    LOCAL = "local"
    """DuckDB in a file on this machine."""
    CLUSTER = "cluster"
    """PostgreSQL."""


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
    """Return the laptop's data folder, absolute; `build/grocer` if `GROCER_DATA` is not set."""
    return Path(os.environ.get(DATA, "build/grocer")).absolute()
