"""The command `bulkhead-kind`: what the Makefile's targets run."""

import sys
import time
from pathlib import Path

import click

from bulkhead.registry.errors import RegistryError
from bulkhead.webserver_api.errors import WebServerError
from bulkhead_kind import (
    cluster,
    debian,
    engine,
    host,
    images as built,
    installation,
    registry,
    tools,
    up,
)
from bulkhead_kind.cluster import ClusterError
from bulkhead_kind.engine import EngineError
from bulkhead_kind.paths import BUILD, LOGS
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress, StepError
from bulkhead_kind.tools import ToolError
from bulkhead_kind.up import UpError
from bulkhead_kind.webserver import TimedOutError

KUBECONFIG_OPTION = click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    help="The kubeconfig of your own cluster, to use instead of a new one.",
)


class Commands(click.Group):
    """Prints the errors that users can act on, without a traceback."""

    user_errors: tuple[type[Exception], ...] = (
        ClusterError,
        CommandError,
        EngineError,
        RegistryError,
        StepError,
        TimedOutError,
        ToolError,
        UpError,
        WebServerError,
    )

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; end with code 1 after such an error."""
        try:
            return super().invoke(ctx)
        except self.user_errors as error:
            click.secho(str(error), fg="red", err=True)
            sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Make and remove Bulkhead's own Kubernetes cluster, and install the platform on it."""


@main.command("up")
@KUBECONFIG_OPTION
@click.option("--no-run", is_flag=True, help="Do not run a job at the end.")
def up_command(kubeconfig: Path | None, *, no_run: bool) -> None:
    """Create the cluster, build the images, install everything, run a job.

    Existing parts stay as they are, so a second call takes seconds.

    \b
    BULKHEAD_PORT        port of the Dagster UI on this machine (3000)
    BULKHEAD_NODE_IMAGE  a kind node image to use instead of the stock or the built one
    BULKHEAD_CONTEXT     a context of your kubeconfig: use that cluster, create none
    BULKHEAD_REGISTRY    for your own cluster: the registry to push images to
    """  # noqa: D301 - click keeps the lines after a backspace character
    began = time.monotonic()
    progress = Progress(LOGS)
    target = up.prepare(progress, kubeconfig)
    references = up.build_images(progress, target)
    up.install(progress, target, references)
    up.prepare_git(progress, target)
    succeeded = no_run or up.run_first_job(progress, target, references)
    progress.print(f"Finished in {time.monotonic() - began:.0f} s")
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
    """Build and push the images that changed; show the size of each image."""
    progress = Progress(LOGS)
    target = up.prepare(progress, kubeconfig)
    references = up.build_images(progress, target, also=also)
    progress.console.print(up.sizes(references))


@main.command("down")
@click.option(
    "--images", is_flag=True, help="Also remove the built images and everything in the registry."
)
def down_command(*, images: bool) -> None:
    """Remove the cluster and its registry; keep what takes long to build."""
    progress = Progress(LOGS)
    found = engine.find(progress)
    cluster.delete(found, progress)
    registry.delete(found, progress, content=images)
    cluster.remove_network(found)
    if images:
        engine.remove_own_images(found, progress)
        built.forget()
    progress.print("The cluster and its registry are removed")


@main.command("status")
def status_command() -> None:
    """Show whether the cluster runs, and its pods."""
    progress = Progress(LOGS)
    found = engine.find(progress)
    kubectl = tools.kubectl(progress)
    state = cluster.state(found, kubectl)
    progress.print(f"cluster {cluster.NAME}: {state}")
    for name in [*cluster.nodes(found), registry.NAME]:
        progress.print(f"  {name}: {'running' if found.is_running(name) else 'not running'}")
    if state != "running":
        sys.exit(1)
    progress.print(installation.pods(up.our_cluster(progress)))
    progress.print(f"Dagster UI: http://127.0.0.1:{cluster.port()}")


@main.command("tools")
def tools_command() -> None:
    """Install the programs that lint and tests call: Helm 3 and 4, actionlint.

    As root on Debian and Ubuntu, also the missing Debian packages of the tests.
    """
    BUILD.mkdir(exist_ok=True)
    progress = Progress(LOGS)
    for tool in (tools.helm(progress), tools.helm3(progress), tools.actionlint(progress)):
        progress.print(f"  {tool}")
    if host.is_root() and host.is_debian_like():
        debian.install_test_programs(progress)
    elif missing := debian.missing_test_programs():
        progress.print(
            f"Missing: {', '.join(missing)}, which tests of the network agent call. Run "
            "`sudo make packages`, or install them."
        )


@main.command("packages")
def packages_command() -> None:
    """Install the missing Debian packages of the tests; needs root on Debian or Ubuntu."""
    debian.install_test_programs(Progress(LOGS))
