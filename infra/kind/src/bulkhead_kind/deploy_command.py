"""How `bulkhead deploy` is called for a cluster from this machine: settings and environment."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bulkhead_kind import registry
from bulkhead_kind.engine import Engine
from bulkhead_kind.installation import Cluster
from bulkhead_kind.paths import BUILD, REPOSITORY, TOOLS
from bulkhead_kind.progress import Progress

SETTINGS = BUILD / "git" / "settings.toml"
"""The settings of `make up`, on top of those of the repository."""


def write_settings(
    engine: Engine, cluster: Cluster, *, base: str, pull_from: str, build_options: Sequence[str]
) -> None:
    """Write SETTINGS.

    Args:
        engine: Builds images of packages.
        cluster: Where to deploy.
        base: The base image.
        pull_from: The registry that pods pull from.
        build_options: Further options of the engine's build command.
    """
    here = f"{registry.LOCAL_HOST}:{registry.LOCAL_PORT}"
    push_to = here if pull_from == registry.ADDRESS else pull_from
    settings: dict[str, str | list[str]] = {
        "registry": f"{pull_from}/bulkhead",
        "push-to": f"{push_to}/bulkhead",
        "base-image": base,
        "engine": engine.name,
        "build-options": list(build_options),
        **({"context": cluster.context} if cluster.context else {}),
    }
    SETTINGS.parent.mkdir(parents=True, exist_ok=True)
    # A JSON string, or list of strings, is also one in TOML.
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    SETTINGS.write_text("\n".join(["# Written by `make up`.", "[deploy]", *lines, ""]))


def environment(engine: Engine, cluster: Cluster) -> Mapping[str, str]:
    """Return the variables that the command needs, besides PATH."""
    kubeconfig = {"KUBECONFIG": str(cluster.kubeconfig)} if cluster.kubeconfig else {}
    return {**engine.environment, **kubeconfig}


def deploy(progress: Progress, engine: Engine, cluster: Cluster, names: Sequence[str]) -> None:
    """Deploy code locations of this clone, as they are in the working tree.

    Raises:
        StepError: One is not live; the others are.
    """
    command = [
        *(str(Path(sys.executable).with_name("bulkhead")), "deploy", *names),
        *("--directory", str(REPOSITORY), "--settings", str(SETTINGS), "--by", "make up"),
    ]
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    with progress.step("Deploy the code locations") as step:
        step.run(command, env={**environment(engine, cluster), "PATH": path})
