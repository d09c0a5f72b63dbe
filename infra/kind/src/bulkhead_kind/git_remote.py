"""The git remote `cluster`: a bare repository here that deploys what is pushed to it."""

import os
import shlex
import sys
from pathlib import Path

from bulkhead_kind import deploy_settings, process
from bulkhead_kind.installation import Cluster
from bulkhead_kind.paths import BUILD, REPOSITORY
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress

NAME = "cluster"
FOLDER = BUILD / "git" / "cluster.git"
HOOKS = ("pre-receive", "post-receive")


def ensure(progress: Progress, cluster: Cluster) -> bool:
    """Create the repository with its hooks, and add the remote to this clone.

    A remote of this name that leads elsewhere stays as it is.

    Returns:
        Whether `git push cluster` deploys; False if this folder is not a git repository.

    Raises:
        StepError: git failed.
    """
    if not process.succeeds(["git", "-C", str(REPOSITORY), "rev-parse", "--git-dir"]):
        return False
    with progress.step("Prepare the git remote cluster"):
        if not (FOLDER / "HEAD").exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            process.output(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(FOLDER)])
        for hook in HOOKS:
            path = FOLDER / "hooks" / hook
            path.parent.mkdir(exist_ok=True)
            path.write_text(_hook(hook, cluster))
            path.chmod(0o755)
        return _add_remote(progress)


def _add_remote(progress: Progress) -> bool:
    git = ["git", "-C", str(REPOSITORY), "remote"]
    try:
        found = process.output([*git, "get-url", NAME])
    except CommandError:
        process.output([*git, "add", NAME, str(FOLDER)])
        return True
    if Path(found) == FOLDER:
        return True
    progress.print(f"The git remote {NAME} leads to {found} and was not changed.")
    return False


def _hook(hook: str, cluster: Cluster) -> str:
    """Return the script of a hook; it has the addresses of this machine and of the cluster."""
    programs = os.pathsep.join(sorted({str(Path(cluster.helm).parent), str(Path(sys.executable).parent)}))
    environment = {
        **({"KUBECONFIG": str(cluster.kubeconfig)} if cluster.kubeconfig else {}),
        **deploy_settings.environment(),
    }
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    command = ["bulkhead", "deploy-hook", hook, "--settings", str(deploy_settings.FILE)]
    return "\n".join(
        [
            "#!/bin/sh",
            "# Written by `make up`.",
            f"PATH={shlex.quote(programs)}:$PATH",
            *exports,
            f"exec {shlex.join(command)}",
            "",
        ]
    )
