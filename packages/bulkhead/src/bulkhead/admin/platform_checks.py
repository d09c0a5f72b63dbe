"""Checks of the platform's own release; no I/O."""

from collections.abc import Iterator

from bulkhead import names
from bulkhead.admin.findings import (
    PLATFORM,
    SYNC_CONTAINER,
    Finding,
    check_readable,
    ok,
    one_line,
    problem,
    utc,
    warning,
)
from bulkhead.admin.snapshot import Snapshot
from bulkhead.admin.workloads import is_available, pods_of, why_unavailable
from bulkhead.kube.objects import part, parts


def check_platform(snapshot: Snapshot) -> Iterator[Finding]:
    """Check the web server, the daemon, the stores, the migration and the registry."""
    yield ok(PLATFORM, f"The Kubernetes API at {snapshot.address} answers.")
    yield from check_readable(PLATFORM, snapshot.platform, snapshot.namespace)
    yield from _check_deployment(snapshot, names.webserver(snapshot.release), "web server")
    yield from _check_deployment(snapshot, names.daemon(snapshot.release), "daemon")
    yield from _check_store(snapshot, names.postgresql(snapshot.release), "database")
    yield from _check_store(snapshot, names.object_store(snapshot.release), "object store")
    yield from _check_migration(snapshot)
    yield from _check_workspace_sync(snapshot)
    yield from _check_registry(snapshot)
    yield from _check_web_server(snapshot)
    yield from _check_daemons(snapshot)


def _check_deployment(snapshot: Snapshot, name: str, title: str) -> Iterator[Finding]:
    if "deployments" in snapshot.platform.unreadable:
        return
    deployment = snapshot.platform.named("deployments", name)
    if deployment is None:
        yield problem(
            PLATFORM,
            f"The {title} is missing: there is no Deployment {name} in namespace "
            f"{snapshot.namespace}.",
            "Find the platform's release and namespace with `helm list -A`, and pass them as "
            "--release and --namespace.",
        )
    elif is_available(deployment):
        yield ok(PLATFORM, f"The {title} runs (Deployment {name}).")
    else:
        reason = why_unavailable(deployment, snapshot.platform["pods"])
        yield problem(
            PLATFORM,
            f"The {title} does not run: {reason}",
            f"See `kubectl -n {snapshot.namespace} describe deployment {name}` and its pods.",
        )


def _check_store(snapshot: Snapshot, name: str, title: str) -> Iterator[Finding]:
    if "statefulsets" in snapshot.platform.unreadable:
        return
    stateful_set = snapshot.platform.named("statefulsets", name)
    if stateful_set is None:
        yield ok(PLATFORM, f"The {title} is outside the cluster and was not checked.")
    elif is_available(stateful_set):
        yield ok(PLATFORM, f"The {title} runs in the cluster (StatefulSet {name}).")
    else:
        reason = why_unavailable(stateful_set, snapshot.platform["pods"])
        yield problem(
            PLATFORM,
            f"The {title} does not run: {reason}",
            f"See `kubectl -n {snapshot.namespace} describe statefulset {name}`.",
        )


def _check_migration(snapshot: Snapshot) -> Iterator[Finding]:
    """Check the Jobs of the migration; Helm deletes a Job that succeeded."""
    for job in snapshot.platform["jobs"]:
        name = job["metadata"]["name"]
        if not name.startswith(names.migrate(snapshot.release)):
            continue
        status = part(job, "status")
        failed = [
            each
            for each in parts(status, "conditions")
            if each["type"] == "Failed" and each["status"] == "True"
        ]
        if failed:
            yield problem(
                PLATFORM,
                f"The migration of the database failed (Job {name}): {failed[0].get('message')}",
                f"See `kubectl -n {snapshot.namespace} logs job/{name}`, fix the cause, then run "
                "the same `helm upgrade` again.",
            )
        elif status.get("succeeded"):
            yield ok(PLATFORM, f"The migration of the database has succeeded (Job {name}).")
        else:
            yield warning(
                PLATFORM,
                f"The migration of the database is still running (Job {name}).",
                f"Follow it with `kubectl -n {snapshot.namespace} logs -f job/{name}`.",
            )


def _check_workspace_sync(snapshot: Snapshot) -> Iterator[Finding]:
    for name in (names.webserver(snapshot.release), names.daemon(snapshot.release)):
        deployment = snapshot.platform.named("deployments", name)
        if deployment is None:
            continue
        for pod in pods_of(deployment, snapshot.platform["pods"]):
            statuses = parts(pod, "status", "initContainerStatuses")
            sync = next((each for each in statuses if each["name"] == SYNC_CONTAINER), None)
            pod_name = pod["metadata"]["name"]
            if sync is not None and sync.get("ready"):
                yield ok(PLATFORM, f"workspace-sync of pod {pod_name} is ready.")
            else:
                yield problem(
                    PLATFORM,
                    f"workspace-sync of pod {pod_name} is not ready, so Dagster does not notice "
                    "new and removed code locations.",
                    f"See `kubectl -n {snapshot.namespace} logs {pod_name} -c {SYNC_CONTAINER}`.",
                )


def _check_registry(snapshot: Snapshot) -> Iterator[Finding]:
    if "configmaps" in snapshot.platform.unreadable:
        return
    if snapshot.registry_error is not None:
        yield problem(
            PLATFORM,
            f"{snapshot.registry_error}.",
            "Correct codeLocations in the platform's values and run `helm upgrade`. The code "
            "locations that run now stay until then.",
        )
    elif snapshot.registrations:
        count = len(snapshot.registrations)
        yield ok(PLATFORM, f"{count} code location{'s are' if count > 1 else ' is'} registered.")
    else:
        yield ok(
            PLATFORM,
            "No code location is registered yet (codeLocations in the platform's values).",
        )


def _check_web_server(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.web_server.error is None:
        yield ok(PLATFORM, "The web server answers.")
        return
    yield warning(
        PLATFORM,
        f"Load errors and heartbeats were not checked: {one_line(snapshot.web_server.error)}",
        f"Check that the web server runs, and that you may get services/proxy in namespace "
        f"{snapshot.namespace}.",
    )


def _check_daemons(snapshot: Snapshot) -> Iterator[Finding]:
    required = [each for each in snapshot.web_server.daemons if each.required]
    for daemon in required:
        if daemon.healthy:
            continue
        heartbeat = (
            f"sent its last heartbeat at {utc(daemon.last_heartbeat)}"
            if daemon.last_heartbeat
            else "has never sent a heartbeat"
        )
        error = f" Its last error: {one_line(daemon.errors[0])}" if daemon.errors else ""
        name = names.daemon(snapshot.release)
        yield problem(
            PLATFORM,
            f"The daemon's {daemon.kind} loop {heartbeat}.{error}",
            f"See `kubectl -n {snapshot.namespace} logs deployment/{name}`.",
        )
    if required and all(each.healthy for each in required):
        yield ok(PLATFORM, f"All {len(required)} loops of the daemon send heartbeats.")
