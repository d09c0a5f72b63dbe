"""Files about a failed test: `build/e2e/<test>/`."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import yaml
from tests.e2e import pods
from tests.e2e.cluster import BUILD, TEST_LABEL, ApiException, listed

from bulkhead.webserver_api.errors import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.e2e.cluster import Event, Kube, Pod
    from tests.e2e.dagster_client import Dagster

TAIL = 3000
"""Lines kept of each container's log."""


def collect(test: str, kube: Kube, platforms: Iterable[Dagster], report: str) -> Path:
    """Write files about a failure; return the folder.

    One folder per namespace, with its pods, their logs, its Jobs and its events. One file per run
    that the test launched, with the run's log. Where a part cannot be read, its file has the error.

    Args:
        test: name of the test.
        kube: the cluster.
        platforms: installations whose runs are written.
        report: pytest's report of the failure.
    """
    folder = BUILD / "e2e" / re.sub(r"[^\w.\[\]-]+", "_", test).strip("_")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "failure.txt").write_text(report)
    _write(folder / "nodes.yaml", lambda: _yaml(kube, kube.core.list_node().items))
    for namespace in _namespaces(kube):
        _namespace(kube, namespace, folder / namespace)
    for dagster in platforms:
        for run_id in dagster.launched:
            _write(folder / f"run-{run_id}.txt", lambda d=dagster, r=run_id: _run(d, r))
    return folder


def _namespaces(kube: Kube) -> list[str]:
    """The namespaces of the platform, of code locations and of tests."""
    return [
        namespace.metadata.name
        for namespace in kube.core.list_namespace().items
        if namespace.metadata.name.startswith("bulkhead")
        or {TEST_LABEL, pods.LOCATION} & set(namespace.metadata.labels or {})
    ]


def _namespace(kube: Kube, namespace: str, folder: Path) -> None:
    folder.mkdir()
    _write(folder / "events.txt", lambda: _events(kube.core.list_namespaced_event(namespace).items))
    _write(
        folder / "jobs.yaml",
        lambda: _yaml(kube, kube.batch.list_namespaced_job(namespace).items),
    )
    there = kube.core.list_namespaced_pod(namespace).items
    _write(folder / "pods.yaml", lambda: _yaml(kube, there))
    (folder / "pods.txt").write_text("".join(f"{pods.describe(pod)}\n" for pod in there))
    for pod in there:
        for container in [*listed(pod.spec.init_containers), *pod.spec.containers]:
            _container_logs(kube, pod, container.name, folder)


def _container_logs(kube: Kube, pod: Pod, container: str, folder: Path) -> None:
    statuses = [*listed(pod.status.init_container_statuses), *listed(pod.status.container_statuses)]
    restarted = any(s.name == container and s.restart_count for s in statuses)
    for previous in (False, True) if restarted else (False,):
        suffix = ".previous" if previous else ""
        _write(
            folder / f"{pod.metadata.name}.{container}{suffix}.log",
            lambda previous=previous: kube.core.read_namespaced_pod_log(
                pod.metadata.name,
                pod.metadata.namespace,
                container=container,
                previous=previous,
                tail_lines=TAIL,
                timestamps=True,
            ),
        )


def _run(dagster: Dagster, run_id: str) -> str:
    lines = [yaml.safe_dump(dagster.run(run_id), sort_keys=False)]
    lines += [
        f"{e.time:.3f} {e.kind} {e.step} {e.message}\n{e.error}".rstrip()
        for e in dagster.events(run_id)
    ]
    return "\n".join(lines)


def _events(events: Iterable[Event]) -> str:
    def when(event: Event) -> str:
        moment = event.last_timestamp or event.event_time or event.metadata.creation_timestamp
        return moment.isoformat()

    return "".join(
        f"{when(e)} {e.count or 1:>3}x {e.type:<7} {e.reason:<20} "
        f"{e.involved_object.kind}/{e.involved_object.name}: {e.message}\n"
        for e in sorted(events, key=when)
    )


def _yaml(kube: Kube, objects: Iterable[object]) -> str:
    plain = kube.plain(list(objects))
    for item in plain:
        item.get("metadata", {}).pop("managedFields", None)
    return yaml.safe_dump_all(plain, sort_keys=False)


def _write(path: Path, content: Callable[[], str | None]) -> None:
    try:
        path.write_text(content() or "")
    except (ApiException, NoAnswerError, AssertionError, OSError) as error:
        path.write_text(f"could not be read: {error}\n")
