"""Loads the definitions of a code location as its code server does."""

import os
import sys
from contextlib import ExitStack, suppress
from typing import NamedTuple

from dagster import RepositoryDefinition

from bulkhead.dagster_compat import (
    DagsterError,
    LoadableTargetOrigin,
    LoadedRepositories,
    RepositorySnap,
    configure_loggers,
    get_instance_for_cli,
    serialize_value,
)

_MODULE = "bulkhead.location"


class Repository(NamedTuple):
    """A repository, and what its code server reports about it to the web server."""

    definition: RepositoryDefinition
    snap: RepositorySnap


def load_repositories() -> list[Repository]:
    """Return the repositories that `dagster api grpc --module-name bulkhead.location` finds.

    It does what the code server does from its start to its first answer to the web server: it
    configures the loggers; it opens the instance if it can, which also reads a file `.env`; it
    loads all definitions; and it describes each repository. So an error in any of these is one
    here.

    Raises:
        Exception: any error of the team's own code, most often as the cause of Dagster's
            `DagsterUserCodeLoadError`.
    """
    configure_loggers()
    with ExitStack() as instance:
        with suppress(DagsterError):
            instance.enter_context(get_instance_for_cli())
        loaded = LoadedRepositories(
            LoadableTargetOrigin(
                executable_path=sys.executable,
                module_name=_MODULE,
                working_directory=os.getcwd(),  # noqa: PTH109 - a string, as Dagster's own
            ),
            container_image=None,
            entry_point=["dagster"],
            container_context=None,
        )
        return [_described(each) for each in loaded.definitions_by_name.values()]


def _described(definition: RepositoryDefinition) -> Repository:
    snap = RepositorySnap.from_def(definition, defer_snapshots=True)
    serialize_value(snap)
    return Repository(definition, snap)
