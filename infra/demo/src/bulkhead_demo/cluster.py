"""The demo on the cluster: the platform with three more code locations, and what they work with."""

from collections.abc import Mapping
from pathlib import Path

from bulkhead_demo import bad_day, figures, flow, observed
from bulkhead_demo.flow import Patience, Watch
from bulkhead_demo.paths import CHART, GROCER, LOCATIONS, PLATFORM_OVERLAY
from bulkhead_demo.screen import Screen
from bulkhead_kind import cluster, images, installation, up
from bulkhead_kind.installation import Release
from bulkhead_kind.progress import Progress
from bulkhead_kind.up import Target

RELEASE = "grocer"
"""Name of the release of the demo's own chart, and of its namespace."""

PATIENCE = Patience(load=300, idle=240, poll=3)
"""Pods take their time to start, above all on a small machine that has just pulled images."""


def play(progress: Progress, kubeconfig: Path | None) -> None:
    """Make what is missing of cluster and images, install everything, play the flow, show figures.

    Args:
        progress: shows the steps, and the rest on its console.
        kubeconfig: of a cluster of the caller's own, to use instead of making one.

    Raises:
        StepError: something could not be built or installed.
        FlowError: a code location could not be loaded, or the flow did not come to its end.
        PageError: the web server does not answer.
    """
    target = up.prepare(progress, kubeconfig)
    references = up.build_images(progress, target, also=GROCER)
    had_data = _has_data(target)
    install(progress, target, references)
    server = target.page()
    with progress.step("Wait until the code locations are loaded"):
        flow.wait_until_loaded(server, LOCATIONS, PATIENCE)
    with Screen(progress.console) as screen:
        watch = Watch(server, screen, PATIENCE, url=url(target))
        if not had_data:
            flow.forget(watch, LOCATIONS)
        flow.play(watch)
    figures.show(progress.console, observed.figures(server))
    up.print_page(progress, target)


def install(progress: Progress, target: Target, references: Mapping[str, str]) -> None:
    """Install the platform, what the grocer works with, and all code locations; in this order.

    The platform makes the namespaces; a code location starts when its Secret is there.

    Raises:
        StepError: a release does not become healthy.
    """
    folders = [*images.code_locations(), *images.code_locations(GROCER)]
    installation.install_platform(
        progress,
        target.cluster,
        references,
        [folder.name for folder in folders],
        [PLATFORM_OVERLAY],
    )
    values = {
        "postgresql": {"image": installation.image(references["postgresql"])},
        "campaigns": {"image": installation.image(references["ingestion"])},
        "flyer": {"image": installation.image(references["ml"])},
    }
    with progress.step("Install the grocer's database and campaign service") as step:
        installation.make_namespace(step, target.cluster, RELEASE)
        release = Release(RELEASE, RELEASE, CHART, (), values)
        installation.upgrade(step, target.cluster, release)
    installation.install_locations(progress, target.cluster, folders, references)


def _has_data(target: Target) -> bool:
    """Whether the grocer's databases have a volume; raises CommandError."""
    claims = ("get", "persistentvolumeclaims", f"--namespace={RELEASE}", "--output=name")
    return bool(target.cluster.output(*claims))


def url(target: Target) -> str:
    """Where this machine finds the page; empty for a cluster of the caller's own."""
    return f"http://127.0.0.1:{cluster.port()}" if target.ours else ""


def drop_file(target: Target, number: int) -> str:
    """Drop the file of a bad day, from the code server's pod, which may write to the object store.

    Raises:
        CommandError: it could not be done.
    """
    return target.cluster.output(
        *("exec", f"--namespace={installation.PLATFORM}-ingestion", "deployment/ingestion", "--"),
        *("python3", *bad_day.program(number)),
    )
