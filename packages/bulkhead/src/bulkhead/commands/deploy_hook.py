"""`bulkhead deploy-hook`: what a git repository runs when it is pushed to."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulkhead.commands.options import Place

if TYPE_CHECKING:
    from bulkhead.deploy.repository import Repository

_REFUSE = "bulkhead.refuseFailed"
_NO_COMMIT = "0" * 40


@click.command("deploy-hook", short_help="Deploy what is pushed (git runs it as a hook).")
@click.argument("hook", type=click.Choice(["pre-receive", "post-receive"]))
@click.option(
    "--settings",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings of the cluster; they take precedence over bulkhead.toml.",
)
def deploy_hook(*, hook: str, settings: Path | None) -> None:
    """Deploy the branch that is deployed (main) after a push to it.

    git calls this in a bare repository, with the pushed references as standard input. What it
    prints appears at the person who pushes. A connection that breaks does not stop the deploy.

    By default the push is accepted, and then deployed. `git config bulkhead.refuseFailed true`
    deploys first, and refuses the push if the deploy fails.
    """
    from bulkhead.deploy.repository import Repository

    pushed = [line.split() for line in sys.stdin]
    # git sets these for its own commands here; a build that calls git must not see them.
    folder = Path(os.environ.pop("GIT_DIR", ".")).resolve()
    repository = Repository(folder)
    refuses = repository.config(_REFUSE) == "true"
    if refuses != (hook == "pre-receive"):
        return
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for _before, commit, reference in pushed:
        branch = reference.removeprefix("refs/heads/")
        if commit == _NO_COMMIT or branch == reference:
            continue
        place = Place(folder, None, settings, None)
        # The branch moves on while a deploy waits; before the push is accepted, it does not exist.
        what = commit if refuses else branch
        if not _deploy(repository, place, branch, what) and refuses:
            sys.exit(1)


def _deploy(repository: "Repository", place: Place, branch: str, commit: str) -> bool:
    """Deploy a pushed branch, if it is the one to deploy; return False if a deploy failed."""
    from bulkhead.commands.deploy_target import open_repository
    from bulkhead.deploy import deploys
    from bulkhead.deploy.report import TextReport

    try:
        opened = open_repository(place, commit=commit)
        if branch != opened.settings.branch:
            click.echo(
                f"Branch {branch} is not deployed. Branch {opened.settings.branch} is (setting "
                "`branch` in bulkhead.toml)."
            )
            return True
        targets = opened.choose(())
    except click.UsageError as error:
        click.echo(f"Nothing was deployed: {error.message}")
        return False
    report = TextReport([each.name for each in targets], _print)
    means = opened.means(report, repository.committer(opened.snapshot()))
    return deploys.succeeded(deploys.run(means, targets))


def _print(line: str) -> None:
    """Print a line, unless the connection to the person who pushes is gone."""
    try:
        click.echo(line)
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
