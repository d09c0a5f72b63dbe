"""The demo on the cluster: three more code locations, their database, campaign service and flow."""

from collections.abc import Mapping
from pathlib import Path

from bulkhead.deploy.release import image_values
from bulkhead_demo import bad_day, figures, flow, observed
from bulkhead_demo.flow import Timeouts, Watch
from bulkhead_demo.paths import CHART, GROCER, LOCATIONS, PLATFORM_OVERLAY
from bulkhead_demo.screen import Screen
from bulkhead_kind import cluster, deploy_command, images, installation, up
from bulkhead_kind.installation import Release
from bulkhead_kind.progress import Progress
from bulkhead_kind.up import Target

RELEASE = "grocer"
"""Name of the demo's own release, and of its namespace."""

TIMEOUTS = Timeouts(load=300, idle=240, poll=3)
"""Longer than on a laptop: pods start slowly on a small machine that pulls images."""


def run_demo(progress: Progress, kubeconfig: Path | None) -> None:
    """Create missing parts of cluster and images, install everything, run the flow, show figures.

    Args:
        progress: shows the steps; its console shows the flow.
        kubeconfig: of the caller's own cluster, to use instead of a new one.

    Raises:
        StepError: a build or an installation failed.
        FlowError: a code location is not loaded, or the flow did not finish.
        WebServerError: the web server does not respond.
    """
    target = up.prepare(progress, kubeconfig)
    references = up.build_images(progress, target, also=GROCER)
    had_data = _has_data(target)
    install(progress, target, references)
    client = target.web_server()
    with progress.step("Wait for the code locations to load"):
        flow.wait_until_loaded(client, LOCATIONS, TIMEOUTS)
    with Screen(progress.console) as screen:
        watch = Watch(client, screen, TIMEOUTS, url=url(target))
        if not had_data:
            flow.delete_history(watch, LOCATIONS)
        flow.run_flow(watch)
    figures.show(progress.console, observed.figures(client))
    up.print_address(progress, target)


def install(progress: Progress, target: Target, references: Mapping[str, str]) -> None:
    """Install the platform, the grocer's database and campaign service, and all code locations.

    In this order: the platform makes the namespaces, and a code location needs its Secret.

    Raises:
        StepError: a release does not become healthy.
    """
    folders = [*images.code_locations(), *images.code_locations(GROCER)]
    names = [folder.name for folder in folders]
    installation.install_platform(progress, target.cluster, references, names, [PLATFORM_OVERLAY])
    values = {
        "postgresql": {"image": image_values(references["postgresql"])},
        "campaigns": {"image": image_values(references["ingestion"])},
        "flyer": {"image": image_values(references["ml"])},
    }
    with progress.step("Install the grocer's database and campaign service") as step:
        installation.make_namespace(step, target.cluster, RELEASE)
        release = Release(RELEASE, RELEASE, CHART, (), values)
        installation.upgrade(step, target.cluster, release)
    deploy_command.deploy(progress, target.engine, target.cluster, names)


def _has_data(target: Target) -> bool:
    """Return whether the grocer's databases have a volume; raises CommandError."""
    claims = ("get", "persistentvolumeclaims", f"--namespace={RELEASE}", "--output=name")
    return bool(target.cluster.output(*claims))


def url(target: Target) -> str:
    """Return the address of the Dagster UI; empty for the caller's own cluster."""
    return f"http://127.0.0.1:{cluster.port()}" if target.ours else ""


def drop_file(target: Target, number: int) -> str:
    """Add the file of a bad day, from the code server's pod, which may write to the object store.

    Raises:
        CommandError: it failed.
    """
    return target.cluster.output(
        *("exec", f"--namespace={installation.PLATFORM}-ingestion", "deployment/ingestion", "--"),
        *("python3", *bad_day.program(number)),
    )
