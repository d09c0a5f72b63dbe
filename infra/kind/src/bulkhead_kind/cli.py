"""The command `bulkhead-kind`: what the Makefile's targets run."""

import sys
import time
from pathlib import Path

import click

from bulkhead_kind import cluster, engine, installation, registry, tools, up
from bulkhead_kind import images as built
from bulkhead_kind.cluster import ClusterError
from bulkhead_kind.engine import EngineError
from bulkhead_kind.page import PageError
from bulkhead_kind.paths import BUILD, LOGS
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress, StepError
from bulkhead_kind.tools import ToolError
from bulkhead_kind.up import UpError

KUBECONFIG_OPTION = click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    help="Of a cluster of yours, to use instead of making one.",
)


class Commands(click.Group):
    """Shows the errors that are meant for people as sentences, without a traceback."""

    errors_for_people: tuple[type[Exception], ...] = (
        ClusterError,
        CommandError,
        EngineError,
        PageError,
        StepError,
        ToolError,
        UpError,
    )

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; end with code 1 after such an error."""
        try:
            return super().invoke(ctx)
        except self.errors_for_people as error:
            click.secho(str(error), fg="red", err=True)
            sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Make and remove Bulkhead's own Kubernetes cluster, and install the platform on it."""


@main.command("up")
@KUBECONFIG_OPTION
@click.option("--no-run", is_flag=True, help="Don't run a job at the end.")
def up_command(kubeconfig: Path | None, *, no_run: bool) -> None:
    r"""Make the cluster, build the images, install everything, run a job.

    What is there already is left as it is, so a second call takes seconds.

    \b
    BULKHEAD_PORT        this machine's port for the web page (3000)
    BULKHEAD_NODE_IMAGE  a kind node image to use instead of the stock or the built one
    BULKHEAD_CONTEXT     a context of your kubeconfig: use that cluster, make none
    BULKHEAD_REGISTRY    with a cluster of yours: where to push images to
    """
    began = time.monotonic()
    progress = Progress(LOGS)
    target = up.prepare(progress, kubeconfig)
    references = up.build_images(progress, target)
    up.install(progress, target, references)
    succeeded = no_run or up.show(progress, target, references)
    progress.say(f"Up after {time.monotonic() - began:.0f} s")
    up.print_next(progress, target)
    sys.exit(0 if succeeded else 1)


@main.command("images")
@KUBECONFIG_OPTION
@click.option(
    "--also",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="A folder with more code locations to build, such as those of the tests.",
)
def images_command(kubeconfig: Path | None, also: Path | None) -> None:
    """Build and push what has changed; show how large the images are."""
    progress = Progress(LOGS)
    target = up.prepare(progress, kubeconfig)
    references = up.build_images(progress, target, also=also)
    progress.console.print(up.sizes(target, sorted(references)))


@main.command("down")
@click.option("--images", is_flag=True, help="Also remove our images and all that was pushed.")
def down_command(*, images: bool) -> None:
    """Remove the cluster and its registry; what would take long to make again stays."""
    progress = Progress(LOGS)
    found = engine.find(progress)
    cluster.delete(found, progress)
    registry.delete(found, progress, content=images)
    cluster.remove_network(found)
    if images:
        engine.remove_own_images(found, progress)
        built.forget()
    progress.say("Nothing of the cluster is left")


@main.command("status")
def status_command() -> None:
    """Say whether the cluster is there and answers, and what runs on it."""
    progress = Progress(LOGS)
    found = engine.find(progress)
    kubectl = tools.kubectl(progress)
    state = cluster.state(found, kubectl)
    progress.say(f"cluster {cluster.NAME}: {state}")
    for name in [*cluster.nodes(found), registry.NAME]:
        progress.say(f"  {name}: {'running' if found.is_running(name) else 'not running'}")
    if state != "running":
        sys.exit(1)
    progress.say(installation.pods(up.our_cluster(progress)))
    progress.say(f"The page: http://127.0.0.1:{cluster.port()}")


@main.command("tools")
def tools_command() -> None:
    """Install what the tests need beside the cluster: Helm 3 and 4, actionlint."""
    BUILD.mkdir(exist_ok=True)
    progress = Progress(LOGS)
    for tool in (tools.helm(progress), tools.helm3(progress), tools.actionlint(progress)):
        progress.say(f"  {tool}")
