"""The git remote `cluster`: a bare repository here that deploys what is pushed to it."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from bulkhead_kind import deploy_command, process
from bulkhead_kind.paths import BUILD, REPOSITORY
from bulkhead_kind.process import CommandError

NAME = "cluster"
FOLDER = BUILD / "git" / "cluster.git"
_HOOKS = ("pre-receive", "post-receive")


def create(folder: Path, settings: Path, environment: Mapping[str, str]) -> None:
    """Create a bare repository that deploys what is pushed to it, or renew its hooks.

    Args:
        folder: The repository.
        settings: The settings of `bulkhead deploy` for the cluster.
        environment: Variables that `bulkhead deploy` needs.

    Raises:
        CommandError: git failed.
    """
    if not (folder / "HEAD").exists():
        folder.mkdir(parents=True, exist_ok=True)
        process.output(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)])
    for hook in _HOOKS:
        path = folder / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(_script(hook, settings, environment))
        path.chmod(0o755)


def add(folder: Path = FOLDER, clone: Path = REPOSITORY) -> str | None:
    """Add the remote to a clone; return the reason if that is not possible.

    A remote of this name that leads elsewhere stays as it is.
    """
    git = ["git", "-C", str(clone), "remote"]
    try:
        known = process.output(git).split()
        if NAME not in known:
            process.output([*git, "add", NAME, str(folder)])
            return None
        found = process.output([*git, "get-url", NAME])
    except CommandError as error:
        return str(error)
    return None if Path(found) == folder else f"the git remote {NAME} leads to {found}"


def _script(hook: str, settings: Path, environment: Mapping[str, str]) -> str:
    program = Path(sys.executable).with_name("bulkhead")
    command = [str(program), "deploy-hook", hook, "--settings", str(settings)]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    path = f"export PATH={shlex.quote(str(deploy_command.TOOLS))}{os.pathsep}$PATH"
    return "\n".join(
        ["#!/bin/sh", "# Written by `make up`.", path, *exports, f"exec {shlex.join(command)}", ""]
    )
