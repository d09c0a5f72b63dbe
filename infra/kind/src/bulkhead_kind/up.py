"""The steps of `make up`: cluster, images, charts, and a first run."""

import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bulkhead.webserver_api import runs, workspace
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead_kind import (
    base_image,
    cluster,
    deploy_command,
    engine,
    git_remote,
    images,
    installation,
    location_images,
    node_image,
    registry,
    tools,
    webserver,
)
from bulkhead_kind.engine import Engine
from bulkhead_kind.installation import Cluster
from bulkhead_kind.paths import BUILD, KUBECONFIG
from bulkhead_kind.progress import Progress
from bulkhead_kind.webserver import RunResult, TimedOutError

CONTEXT_VARIABLE = "BULKHEAD_CONTEXT"
REGISTRY_VARIABLE = "BULKHEAD_REGISTRY"

FIRST_JOB = ("hello", "stocks")
"""Code location and job of the first run on a new installation."""

RUN_SECONDS = 300.0
LOAD_SECONDS = 120.0

FIRST_RUN = BUILD / "first-run.json"
"""Images and id of the first run that succeeded; with the same images it is not run again."""


class UpError(Exception):
    """A setting is invalid or missing; `str()` names it and the allowed values."""


@dataclass(frozen=True)
class Target:
    """The cluster to install on, the registry of its images, and whether `make up` created it."""

    cluster: Cluster
    engine: Engine
    base: str
    registry: str
    ours: bool

    def web_server(self) -> GraphQLClient:
        """Return the client of the platform's web server."""
        return webserver.client(
            self.cluster.kubectl_command(), installation.PLATFORM, installation.PLATFORM
        )


def prepare(progress: Progress, kubeconfig: Path | None) -> Target:
    """Create the kind cluster with its registry, or use the cluster that the caller names.

    Args:
        progress: shows the steps.
        kubeconfig: of the caller's own cluster; BULKHEAD_CONTEXT names one too.

    Raises:
        UpError: the caller names a cluster and no registry to push to.
        StepError: a step failed.
    """
    BUILD.mkdir(exist_ok=True)
    context = os.environ.get(CONTEXT_VARIABLE)
    if kubeconfig or context:
        return _theirs(progress, kubeconfig, context)
    return _ours(progress)


def our_cluster(progress: Progress) -> Cluster:
    """Return how to reach the cluster that `prepare` creates; creates nothing."""
    return Cluster(tools.helm(progress), tools.kubectl(progress), KUBECONFIG)


def build_images(progress: Progress, target: Target, *, also: Path | None = None) -> dict[str, str]:
    """Build and push the platform's and every code location's image.

    Args:
        progress: shows the steps.
        target: where to push.
        also: a folder with more code locations to build; they are not installed.

    Returns:
        Each image's reference by digest.

    Raises:
        StepError: a build or a push failed.
    """
    references = images.ensure(
        progress,
        target.engine,
        images.platform_images(),
        base=target.base,
        target=target.registry,
        push=lambda reference: registry.push(
            target.engine, progress, reference, None if target.ours else target.registry
        ),
    )
    deploy_command.write_settings(
        target.engine,
        target.cluster,
        base=target.base,
        pull_from=target.registry,
        build_options=images.build_options(target.base),
    )
    folders = [*images.code_locations(), *(images.code_locations(also) if also else [])]
    locations = location_images.ensure(progress, folders)
    images.record({**references, **locations})
    return {**references, **locations}


def install(progress: Progress, target: Target, references: dict[str, str]) -> None:
    """Install the platform, and deploy every code location of `user_code/`; raises StepError."""
    names = [folder.name for folder in images.code_locations()]
    installation.install_platform(progress, target.cluster, references, names)
    deploy_command.deploy(progress, target.engine, target.cluster, names)


def prepare_git(progress: Progress, target: Target) -> None:
    """Make `git push cluster` deploy the code locations of this clone; raises StepError."""
    with progress.step("Prepare the git remote cluster"):
        environment = deploy_command.environment(target.engine, target.cluster)
        git_remote.create(git_remote.FOLDER, deploy_command.SETTINGS, environment)
    problem = git_remote.add()
    if problem:
        progress.print(f"`git push cluster` does not deploy: {problem}")


def run_first_job(progress: Progress, target: Target, references: dict[str, str]) -> bool:
    """Run the first job, unless it succeeded with these images before; print its steps.

    Returns:
        Whether the run succeeded.

    Raises:
        TimedOutError: the code location is not loaded, or the run did not end in time.
        WebServerError: the web server does not respond, or rejects the job.
    """
    client = target.web_server()
    made_with = {**references, "cluster": _identity(target)}
    known: dict[str, Any] = json.loads(FIRST_RUN.read_text()) if FIRST_RUN.exists() else {}
    if known.get("made_with") == made_with:
        progress.print(
            f"Job {FIRST_JOB[1]} has already succeeded with these images: run {known['run_id']}"
        )
        return True
    location, job = FIRST_JOB
    with progress.step(f"Run job {job} of code location {location}"):
        _await_location(client, location)
        run_id = runs.launch(client, location, job)
        result = webserver.finished(client, run_id, timeout=RUN_SECONDS)
    _print_run(progress, job, result)
    succeeded = result.status == "SUCCESS"
    if succeeded:
        FIRST_RUN.write_text(json.dumps({"made_with": made_with, "run_id": result.run_id}))
    return succeeded


def print_next(progress: Progress, target: Target) -> None:
    """Print the address of the Dagster UI and commands to try next."""
    kubeconfig = target.cluster.kubeconfig or "your kubeconfig"
    print_address(progress, target)
    progress.print(
        "Try next:\n"
        f"  export KUBECONFIG={kubeconfig}\n"
        "  .venv/bin/bulkhead locations         list the code locations and their states\n"
        "  .venv/bin/bulkhead doctor            check the installation\n"
        "  kubectl get pods --namespace bulkhead-hello --watch\n"
        "                                       then launch a job in the Dagster UI\n"
        "  .venv/bin/bulkhead new forecasts     create your own code location, then run `make up`\n"
        "  edit user_code/hello, commit, then `git push cluster main` to deploy only that code "
        "location"
    )


def print_address(progress: Progress, target: Target) -> None:
    """Print the address of the Dagster UI."""
    if target.ours:
        progress.print(f"\nDagster UI: [bold]http://127.0.0.1:{cluster.port()}[/]")
    else:
        progress.print(
            f"\nDagster UI: kubectl --namespace {installation.PLATFORM} port-forward "
            f"service/{installation.PLATFORM}-webserver 3000:80, then http://127.0.0.1:3000"
        )


def _ours(progress: Progress) -> Target:
    cluster.port()
    found = engine.find(progress)
    kind, kubectl, helm = tools.kind(progress), tools.kubectl(progress), tools.helm(progress)
    with ThreadPoolExecutor() as pool:
        # The images of the registry and of the pods are made while the node's programs compile.
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
            f"{REGISTRY_VARIABLE} is not set. Your own cluster needs a registry. Set it to one "
            "that this machine can push to and the cluster can pull from, for example "
            "registry.example.com/team."
        )
    if kubeconfig and not kubeconfig.is_file():
        raise UpError(
            f"The kubeconfig {kubeconfig} does not exist. Pass the path of an existing file."
        )
    found = engine.find(progress)
    reached = Cluster(tools.helm(progress), tools.kubectl(progress), kubeconfig, context)
    return Target(reached, found, base_image.ensure(found, progress), address, ours=False)


def _identity(target: Target) -> str:
    """Return the id of the cluster: a new cluster of the same name has another."""
    return target.cluster.output(
        "get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}"
    )


def _await_location(client: GraphQLClient, location: str) -> None:
    deadline = time.monotonic() + LOAD_SECONDS
    while True:
        status = workspace.load_statuses(client).get(location)
        if status and status.is_loaded:
            return
        if time.monotonic() > deadline:
            state = webserver.state(status) if status else "not in the workspace"
            raise TimedOutError(
                f"Code location {location} is not loaded after {LOAD_SECONDS:.0f} s: {state}"
            )
        time.sleep(1)


def _print_run(progress: Progress, job: str, result: RunResult) -> None:
    table = Table(title=f"{job}: {result.status} in {result.seconds:.0f} s", title_justify="left")
    for heading in ("step", "status"):
        table.add_column(heading)
    table.add_column("seconds", justify="right")
    for step in result.steps:
        table.add_row(step.key, step.status, f"{step.seconds:.1f}")
    progress.console.print(table)


def sizes(references: Mapping[str, str]) -> Table:
    """Return a table of pushed images and their compressed sizes; raises RegistryError."""
    table = Table(title="Images", title_justify="left")
    table.add_column("image")
    table.add_column("MB, compressed", justify="right")
    for name, reference in sorted(references.items()):
        table.add_row(name, f"{location_images.compressed_bytes(reference) / 1e6:.0f}")
    return table
