"""What `make up` does, from nothing to a finished run: a cluster, images, charts, a job."""

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from bulkhead_kind import (
    base_image,
    cluster,
    engine,
    images,
    installation,
    node_image,
    registry,
    tools,
)
from bulkhead_kind.engine import Engine
from bulkhead_kind.installation import Cluster
from bulkhead_kind.page import Page, PageError, RunResult
from bulkhead_kind.paths import BUILD, KUBECONFIG
from bulkhead_kind.progress import Progress

CONTEXT_VARIABLE = "BULKHEAD_CONTEXT"
REGISTRY_VARIABLE = "BULKHEAD_REGISTRY"

FIRST_JOB = ("hello", "stocks")
"""Code location and job that show a new installation at work."""

RUN_SECONDS = 300.0
LOAD_SECONDS = 120.0

SHOWN = BUILD / "first-run.json"
"""What the first run was made with and how it ended, so that it is not made again in vain."""


class UpError(Exception):
    """The wishes can't be met; `str()` says which and what to give instead."""


@dataclass(frozen=True)
class Target:
    """Where to install: the cluster, where its images are pushed to, whether it is ours."""

    cluster: Cluster
    engine: Engine
    base: str
    registry: str
    ours: bool

    def page(self) -> Page:
        """The web server of the platform there."""
        return Page(self.cluster.kubectl_command(), installation.PLATFORM, installation.PLATFORM)


def prepare(progress: Progress, kubeconfig: Path | None) -> Target:
    """Make our own cluster with its registry, or take the one that the caller named.

    Args:
        progress: shows the steps.
        kubeconfig: of a cluster of the caller's own; BULKHEAD_CONTEXT names one too.

    Raises:
        UpError: a cluster of the caller's was named without a registry to push to.
        StepError: a step failed.
    """
    BUILD.mkdir(exist_ok=True)
    context = os.environ.get(CONTEXT_VARIABLE)
    if kubeconfig or context:
        return _theirs(progress, kubeconfig, context)
    return _ours(progress)


def our_cluster(progress: Progress) -> Cluster:
    """How to reach the cluster that `prepare` makes; makes nothing."""
    return Cluster(tools.helm(progress), tools.kubectl(progress), KUBECONFIG)


def build_images(progress: Progress, target: Target, *, also: Path | None = None) -> dict[str, str]:
    """Build and push the platform's and every code location's image.

    Args:
        progress: shows the steps.
        target: where to push.
        also: a folder with more code locations, which are built and not installed.

    Returns:
        Each image's reference by digest.

    Raises:
        StepError: a build or a push failed.
    """
    folders = [*images.code_locations(), *(images.code_locations(also) if also else [])]
    return images.ensure(
        progress,
        target.engine,
        [*images.platform_images(), *images.location_images(folders)],
        base=target.base,
        target=target.registry,
        push=lambda reference: registry.push(
            target.engine, progress, reference, None if target.ours else target.registry
        ),
    )


def install(progress: Progress, target: Target, references: dict[str, str]) -> None:
    """Install the platform and every code location of `user_code/`; raises StepError."""
    folders = images.code_locations()
    names = [folder.name for folder in folders]
    installation.install_platform(progress, target.cluster, references, names)
    installation.install_locations(progress, target.cluster, folders, references)


def show(progress: Progress, target: Target, references: dict[str, str]) -> bool:
    """Run the first job, unless it has succeeded with these images before; print what came of it.

    Returns whether the run succeeded. Raises PageError when it could not be launched or watched.
    """
    page = target.page()
    made_with = {**references, "cluster": _identity(target)}
    known = json.loads(SHOWN.read_text()) if SHOWN.exists() else {}
    if known.get("made_with") == made_with:
        progress.say(f"Run {known['run_id']} of job {FIRST_JOB[1]} has succeeded with these images")
        return True
    location, job = FIRST_JOB
    with progress.step(f"Run job {job} of code location {location}"):
        _await_location(page, location)
        result = page.finished(page.launch(location, job), limit=RUN_SECONDS)
    _print_run(progress, job, result)
    succeeded = result.status == "SUCCESS"
    if succeeded:
        SHOWN.write_text(json.dumps({"made_with": made_with, "run_id": result.run_id}))
    return succeeded


def print_next(progress: Progress, target: Target) -> None:
    """Say where the page is and what to try next."""
    kubeconfig = target.cluster.kubeconfig or "your kubeconfig"
    print_page(progress, target)
    progress.say(
        "Try next:\n"
        f"  export KUBECONFIG={kubeconfig}\n"
        "  .venv/bin/bulkhead locations     the code locations and how they are\n"
        "  .venv/bin/bulkhead doctor        what is wrong with this installation, if anything\n"
        "  kubectl get pods --namespace bulkhead-hello --watch     then launch a job in the page\n"
        "  .venv/bin/bulkhead new forecasts     a code location of your own, then `make up`\n"
        "  change user_code/hello, then `make up`     only that code location is released"
    )


def print_page(progress: Progress, target: Target) -> None:
    """Say where the page is."""
    if target.ours:
        progress.say(f"\nThe page: [bold]http://127.0.0.1:{cluster.port()}[/]")
    else:
        progress.say(
            f"\nThe page: kubectl --namespace {installation.PLATFORM} port-forward "
            f"service/{installation.PLATFORM}-webserver 3000:80, then http://127.0.0.1:3000"
        )


def _ours(progress: Progress) -> Target:
    cluster.port()
    found = engine.find(progress)
    kind, kubectl, helm = tools.kind(progress), tools.kubectl(progress), tools.helm(progress)
    with ThreadPoolExecutor() as pool:
        # What pods and the registry start from is made while the node's programs compile.
        node = pool.submit(node_image.ensure, found, progress)
        registry_image = pool.submit(registry.ensure_image, found, progress)
        base = pool.submit(base_image.ensure, found, progress)
        image = node.result()
    cluster.ensure(found, progress, kind, kubectl, image)
    registry.ensure(found, progress, registry_image.result())
    return Target(
        Cluster(helm, kubectl, KUBECONFIG), found, base.result(), registry.ADDRESS, ours=True
    )


def _theirs(progress: Progress, kubeconfig: Path | None, context: str | None) -> Target:
    address = os.environ.get(REGISTRY_VARIABLE)
    if not address:
        raise UpError(
            "A cluster of your own pulls images from a registry of your own: set "
            f"{REGISTRY_VARIABLE} to one that this machine may push to and the cluster may pull "
            "from, such as registry.example.com/team"
        )
    if kubeconfig and not kubeconfig.is_file():
        raise UpError(f"there is no kubeconfig {kubeconfig}; give the path of one that exists")
    found = engine.find(progress)
    reached = Cluster(tools.helm(progress), tools.kubectl(progress), kubeconfig, context)
    return Target(reached, found, base_image.ensure(found, progress), address, ours=False)


def _identity(target: Target) -> str:
    """The cluster itself, not its name: one made anew has run nothing yet."""
    return target.cluster.output(
        "get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}"
    )


def _await_location(page: Page, location: str) -> None:
    deadline = time.monotonic() + LOAD_SECONDS
    while True:
        state = page.locations().get(location, "not in the workspace")
        if state == "loaded":
            return
        if time.monotonic() > deadline:
            raise PageError(f"code location {location} is not loaded: {state}")
        time.sleep(1)


def _print_run(progress: Progress, job: str, result: RunResult) -> None:
    table = Table(title=f"{job}: {result.status} in {result.seconds:.0f} s", title_justify="left")
    for heading in ("step", "status"):
        table.add_column(heading)
    table.add_column("seconds", justify="right")
    for step in result.steps:
        table.add_row(step.key, step.status, f"{step.seconds:.1f}")
    progress.console.print(table)


def sizes(target: Target, names: Sequence[str]) -> Table:
    """The images and how large they are, unpacked."""
    table = Table(title="Images", title_justify="left")
    table.add_column("image")
    table.add_column("MB", justify="right")
    for name in names:
        table.add_row(name, f"{images.size(target.engine, name):.0f}")
    return table
