"""What is wrong with an installation: a snapshot in, findings out.

Every check yields at least one finding, so that a person also sees what was looked at and is good.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Final

from kubernetes.utils.quantity import parse_quantity

from bulkhead import names
from bulkhead.admin.snapshot import Contents, Snapshot
from bulkhead.admin.workloads import Object, is_available, pods_of, why_unavailable
from bulkhead.discovery.workspace import Registration

_POD_SECURITY_LABEL: Final = "pod-security.kubernetes.io/enforce"
_POD_SECURITY: Final = "restricted"
_SYNC_CONTAINER: Final = "workspace-sync"
_NEARLY_FULL: Final = 0.9
_LONGEST_ERROR: Final = 400

_SERVICE_ACCOUNTS: Final = (
    names.CODE_SERVER_SERVICE_ACCOUNT,
    names.RUN_SERVICE_ACCOUNT,
    names.STEP_SERVICE_ACCOUNT,
)
_ROLE_BINDINGS: Final = (names.LAUNCHER_ROLE, names.DISCOVERY_ROLE, names.RUN_ROLE)
_CONFIG_MAPS: Final = (names.INSTANCE_CONFIG_MAP, names.LOCATION_CONFIG_MAP)
_SECRETS: Final = (names.DATABASE_SECRET, names.OBJECT_STORE_SECRET)


class Level(str, Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Works now; somebody should know."""
    PROBLEM = "problem"
    """Something that was promised does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing, and what to do next."""

    level: Level
    subject: str
    """`platform`, or the name of a code location."""
    sentence: str
    advice: str | None = None


PLATFORM: Final = "platform"


def check(snapshot: Snapshot) -> list[Finding]:
    """Return what there is to say about an installation, the platform first."""
    findings = [*_check_platform(snapshot)]
    for name in sorted(snapshot.registrations):
        findings += _check_location(snapshot, snapshot.registrations[name])
    return [*findings, *_check_refusals(snapshot)]


def unreachable(reason: str) -> Finding:
    """Return the only finding where the API does not answer."""
    return Finding(
        Level.PROBLEM,
        PLATFORM,
        f"The Kubernetes API cannot be asked: {reason}",
        "Check the cluster, KUBECONFIG and --context with `kubectl version`.",
    )


def _ok(subject: str, sentence: str) -> Finding:
    return Finding(Level.OK, subject, sentence)


def _problem(subject: str, sentence: str, advice: str) -> Finding:
    return Finding(Level.PROBLEM, subject, sentence, advice)


def _warning(subject: str, sentence: str, advice: str) -> Finding:
    return Finding(Level.WARNING, subject, sentence, advice)


# --- The platform ---


def _check_platform(snapshot: Snapshot) -> Iterator[Finding]:
    yield _ok(PLATFORM, f"The Kubernetes API at {snapshot.address} answers.")
    yield from _check_readable(PLATFORM, snapshot.platform, snapshot.namespace)
    yield from _check_deployment(snapshot, names.webserver(snapshot.release), "web server")
    yield from _check_deployment(snapshot, names.daemon(snapshot.release), "daemon")
    yield from _check_store(snapshot, names.postgresql(snapshot.release), "database")
    yield from _check_store(snapshot, names.object_store(snapshot.release), "object store")
    yield from _check_migration(snapshot)
    yield from _check_workspace_sync(snapshot)
    yield from _check_registry(snapshot)
    yield from _check_web_server(snapshot)
    yield from _check_daemons(snapshot)


def _check_readable(subject: str, contents: Contents, namespace: str) -> Iterator[Finding]:
    for kind, reason in contents.unreadable.items():
        yield _warning(
            subject,
            f"You may not list {kind} in namespace {namespace}, so they were not checked: {reason}",
            "Run the doctor as somebody who may.",
        )


def _check_deployment(snapshot: Snapshot, name: str, what: str) -> Iterator[Finding]:
    if "deployments" in snapshot.platform.unreadable:
        return
    deployment = snapshot.platform.named("deployments", name)
    if deployment is None:
        yield _problem(
            PLATFORM,
            f"The {what} is missing: there is no Deployment {name} in namespace "
            f"{snapshot.namespace}.",
            "See with `helm list -A` how the platform's release and namespace are called, and give "
            "them as --release and --namespace.",
        )
    elif is_available(deployment):
        yield _ok(PLATFORM, f"The {what} runs (Deployment {name}).")
    else:
        why = why_unavailable(deployment, snapshot.platform["pods"])
        yield _problem(
            PLATFORM,
            f"The {what} does not run: {why}",
            f"See `kubectl -n {snapshot.namespace} describe deployment {name}` and its pods.",
        )


def _check_store(snapshot: Snapshot, name: str, what: str) -> Iterator[Finding]:
    if "statefulsets" in snapshot.platform.unreadable:
        return
    stateful_set = snapshot.platform.named("statefulsets", name)
    if stateful_set is None:
        yield _ok(PLATFORM, f"The {what} is an external one; it was not looked at from here.")
    elif is_available(stateful_set):
        yield _ok(PLATFORM, f"The {what} runs in the cluster (StatefulSet {name}).")
    else:
        why = why_unavailable(stateful_set, snapshot.platform["pods"])
        yield _problem(
            PLATFORM,
            f"The {what} does not run: {why}",
            f"See `kubectl -n {snapshot.namespace} describe statefulset {name}`.",
        )


def _check_migration(snapshot: Snapshot) -> Iterator[Finding]:
    """Look at the migration's Jobs; Helm deletes one that succeeded."""
    for job in snapshot.platform["jobs"]:
        name = job["metadata"]["name"]
        if not name.startswith(names.migrate(snapshot.release)):
            continue
        status = job.get("status") or {}
        failed = [
            each
            for each in status.get("conditions") or []
            if each["type"] == "Failed" and each["status"] == "True"
        ]
        if failed:
            yield _problem(
                PLATFORM,
                f"The migration of the database failed (Job {name}): {failed[0].get('message')}",
                f"See `kubectl -n {snapshot.namespace} logs job/{name}`, then run `helm upgrade` "
                "again.",
            )
        elif status.get("succeeded"):
            yield _ok(PLATFORM, f"The migration of the database is done (Job {name}).")
        else:
            yield _warning(
                PLATFORM,
                f"The migration of the database is still at work (Job {name}).",
                f"Follow it with `kubectl -n {snapshot.namespace} logs -f job/{name}`.",
            )


def _check_workspace_sync(snapshot: Snapshot) -> Iterator[Finding]:
    for name in (names.webserver(snapshot.release), names.daemon(snapshot.release)):
        deployment = snapshot.platform.named("deployments", name)
        if deployment is None:
            continue
        for pod in pods_of(deployment, snapshot.platform["pods"]):
            statuses = (pod.get("status") or {}).get("initContainerStatuses") or []
            sync = next((each for each in statuses if each["name"] == _SYNC_CONTAINER), None)
            pod_name = pod["metadata"]["name"]
            if sync is not None and sync.get("ready"):
                yield _ok(PLATFORM, f"workspace-sync of pod {pod_name} is ready.")
            else:
                yield _problem(
                    PLATFORM,
                    f"workspace-sync of pod {pod_name} is not ready, so new and removed code "
                    "locations do not show.",
                    f"See `kubectl -n {snapshot.namespace} logs {pod_name} -c {_SYNC_CONTAINER}`.",
                )


def _check_registry(snapshot: Snapshot) -> Iterator[Finding]:
    if "configmaps" in snapshot.platform.unreadable:
        return
    if snapshot.registry_trouble is not None:
        yield _problem(
            PLATFORM,
            f"{snapshot.registry_trouble}.",
            "Correct codeLocations in the platform's values and run `helm upgrade`; the code "
            "locations that run are kept until then.",
        )
    elif snapshot.registrations:
        count = len(snapshot.registrations)
        yield _ok(PLATFORM, f"{count} code location{'s are' if count > 1 else ' is'} registered.")
    else:
        yield _ok(PLATFORM, "No code location is registered yet (codeLocations in the values).")


def _check_web_server(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.web_server.trouble is None:
        yield _ok(PLATFORM, "The web server answers.")
        return
    yield _warning(
        PLATFORM,
        "The web server could not be asked through the API server, so load errors and heartbeats "
        f"were not checked: {_short(snapshot.web_server.trouble)}",
        f"You need the right to get services/proxy in namespace {snapshot.namespace}, and the "
        "web server must run.",
    )


def _check_daemons(snapshot: Snapshot) -> Iterator[Finding]:
    required = [each for each in snapshot.web_server.daemons if each.required]
    for daemon in required:
        if daemon.healthy:
            continue
        since = (
            f"sent its last heartbeat at {_time(daemon.last_heartbeat)}"
            if daemon.last_heartbeat
            else "never sent a heartbeat"
        )
        errors = f" It says: {_short(daemon.errors[0])}" if daemon.errors else ""
        name = names.daemon(snapshot.release)
        yield _problem(
            PLATFORM,
            f"The daemon's {daemon.kind} loop {since}.{errors}",
            f"See `kubectl -n {snapshot.namespace} logs deployment/{name}`.",
        )
    if required and all(each.healthy for each in required):
        yield _ok(PLATFORM, f"All {len(required)} loops of the daemon send heartbeats.")


# --- One code location ---


def _check_location(snapshot: Snapshot, registration: Registration) -> Iterator[Finding]:
    name, namespace = registration.name, registration.namespace
    found = snapshot.namespaces[namespace]
    if found is None:
        yield _problem(
            name,
            f"Its namespace {namespace} does not exist.",
            "`helm upgrade` of the platform makes the namespaces of all registered code locations.",
        )
        return
    contents = snapshot.contents[namespace]
    yield from _check_readable(name, contents, namespace)
    yield from _check_walls(name, found, contents)
    yield from _check_quota(name, namespace, contents)
    yield from _check_code_server(snapshot, registration, contents)


def _check_walls(name: str, namespace: Object, contents: Contents) -> Iterator[Finding]:
    """Check what the admin's release puts into the namespace."""
    where = namespace["metadata"]["name"]
    missing: list[str] = []
    labels = namespace["metadata"].get("labels")
    if labels is not None and labels.get(_POD_SECURITY_LABEL) != _POD_SECURITY:
        missing.append(f"label {_POD_SECURITY_LABEL}={_POD_SECURITY} on the namespace")
    wanted = (
        ("resourcequotas", "ResourceQuota", (names.QUOTA,)),
        ("limitranges", "LimitRange", (names.QUOTA,)),
        ("serviceaccounts", "ServiceAccount", _SERVICE_ACCOUNTS),
        ("rolebindings", "RoleBinding", _ROLE_BINDINGS),
        ("configmaps", "ConfigMap", _CONFIG_MAPS),
        ("secrets", "Secret", _SECRETS),
    )
    for kind, title, expected in wanted:
        if kind not in contents.unreadable:
            missing += [f"{title} {each}" for each in expected if not contents.named(kind, each)]
    if missing:
        yield _problem(
            name,
            f"Namespace {where} lacks {', '.join(missing)}.",
            "`helm upgrade` of the platform puts them back.",
        )
    else:
        yield _ok(name, f"The walls of namespace {where} stand.")


def _check_quota(name: str, namespace: str, contents: Contents) -> Iterator[Finding]:
    quota = contents.named("resourcequotas", names.QUOTA)
    if quota is None:
        return
    status = quota.get("status") or {}
    used, hard = status.get("used") or {}, status.get("hard") or {}
    shares = {
        resource: float(parse_quantity(used.get(resource, "0")) / parse_quantity(limit))
        for resource, limit in hard.items()
        if parse_quantity(limit) > 0
    }
    tight = {resource: share for resource, share in shares.items() if share >= _NEARLY_FULL}
    for resource, share in sorted(tight.items(), key=lambda each: -each[1]):
        yield _warning(
            name,
            f"Its quota of {resource} is {'full' if share >= 1 else 'nearly full'}: "
            f"{used.get(resource)} of {hard[resource]} ({share:.0%}). Further steps wait for room.",
            f"Let runs of {name} end, or raise codeLocations.{name}.quota in the platform's "
            f"values; `kubectl -n {namespace} get pods` shows who uses it.",
        )
    if shares and not tight:
        resource, share = max(shares.items(), key=lambda each: each[1])
        yield _ok(name, f"Its quota has room (fullest: {resource}, {share:.0%}).")


def _check_code_server(
    snapshot: Snapshot, registration: Registration, contents: Contents
) -> Iterator[Finding]:
    name, namespace = registration.name, registration.namespace
    deployment = contents.named("deployments", name)
    joined = any(each.name == name for each in snapshot.plan.locations)
    unknown = contents.unreadable.keys() & {"deployments", "services"}
    if deployment is None and not joined:
        if not unknown:
            yield _warning(
                name,
                f"Nothing is deployed yet: namespace {namespace} has neither Deployment {name} nor "
                "a Service with its label.",
                f"Install the chart code-location as release {name} in namespace {namespace}.",
            )
        return
    if not joined and not unknown:
        yield _problem(
            name,
            f"Its Deployment is there, but no Service in namespace {namespace} carries the label "
            f"{names.CODE_LOCATION_LABEL}={name} and a port named {names.GRPC_PORT_NAME}.",
            f"`helm upgrade` of release {name} puts it back.",
        )
    if deployment is not None and is_available(deployment):
        yield _ok(name, f"Its code server runs (Deployment {name} in namespace {namespace}).")
    elif deployment is not None:
        yield _problem(
            name,
            f"Its code server does not run: {why_unavailable(deployment, contents['pods'])}",
            f"See `kubectl -n {namespace} describe deployment {name}` and its pods.",
        )
    if joined:
        yield from _check_loaded(snapshot, name, namespace)


def _check_loaded(snapshot: Snapshot, name: str, namespace: str) -> Iterator[Finding]:
    if snapshot.web_server.trouble is not None:
        return
    status = snapshot.web_server.locations.get(name)
    if status is None:
        yield _problem(
            name,
            "The web server does not know it, although its Service is in order.",
            f"See `kubectl -n {snapshot.namespace} logs deployment/"
            f"{names.webserver(snapshot.release)} -c {_SYNC_CONTAINER}`.",
        )
    elif status.error is not None:
        yield _problem(
            name,
            f"The web server cannot load it: {_short(status.error)}",
            f"The page shows the whole error under Deployment; the code server's log is `kubectl "
            f"-n {namespace} logs deployment/{name}`.",
        )
    elif status.loading:
        yield _warning(name, "The web server is still loading it.", "Look again in a moment.")
    else:
        yield _ok(name, f"The web server has loaded it, last at {_time(status.updated)}.")


def _check_refusals(snapshot: Snapshot) -> Iterator[Finding]:
    for refusal in snapshot.plan.refusals:
        yield _problem(
            refusal.claim.location,
            f"Refused: {refusal.message}",
            f"`kubectl -n {refusal.claim.namespace} get service {refusal.claim.service} "
            "--show-labels` shows who made it.",
        )


def _short(text: str) -> str:
    """Return an error in one line, and not a page of it."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_ERROR else f"{line[: _LONGEST_ERROR - 1]}…"


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
