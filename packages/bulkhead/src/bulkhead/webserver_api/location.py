"""A code location as the web server knows it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """One entry of the workspace: a code server that Dagster may ask."""

    name: str
    host: str
    port: int
