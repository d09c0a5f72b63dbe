"""Checks of the code locations; no I/O."""

from collections.abc import Iterator
from typing import Final

from bulkhead import names
from bulkhead.admin.findings import (
    SYNC_CONTAINER,
    Finding,
    check_readable,
    ok,
    one_line,
    problem,
    utc,
    warning,
)
from bulkhead.admin.snapshot import Contents, Snapshot
from bulkhead.admin.workloads import is_available, why_unavailable
from bulkhead.discovery.registry import Registration
from bulkhead.kube import quantities
from bulkhead.kube.objects import Object, part

_POD_SECURITY_LABEL: Final = "pod-security.kubernetes.io/enforce"
_POD_SECURITY: Final = "restricted"
_NEARLY_FULL: Final = 0.9

# What the platform's release creates in the namespace of each code location: the kind in the API's
# path, the kind, the names.
_WALLS: Final = (
    ("resourcequotas", "ResourceQuota", (names.QUOTA,)),
    ("limitranges", "LimitRange", (names.QUOTA,)),
    (
        "serviceaccounts",
        "ServiceAccount",
        (
            names.CODE_SERVER_SERVICE_ACCOUNT,
            names.RUN_SERVICE_ACCOUNT,
            names.STEP_SERVICE_ACCOUNT,
        ),
    ),
    (
        "rolebindings",
        "RoleBinding",
        (names.LAUNCHER_ROLE, names.DISCOVERY_ROLE, names.RUN_ROLE),
    ),
    ("configmaps", "ConfigMap", (names.INSTANCE_CONFIG_MAP, names.LOCATION_CONFIG_MAP)),
    ("secrets", "Secret", (names.DATABASE_SECRET, names.OBJECT_STORE_SECRET)),
)


def check_location(snapshot: Snapshot, registration: Registration) -> Iterator[Finding]:
    """Check the namespace, the walls, the quota and the code server of one code location."""
    name, namespace = registration.name, registration.namespace
    namespace_object = snapshot.namespaces[namespace]
    if namespace_object is None:
        yield problem(
            name,
            f"Its namespace {namespace} does not exist.",
            "Run `helm upgrade` of the platform: it creates the namespaces of all registered code "
            "locations.",
        )
        return
    contents = snapshot.contents[namespace]
    yield from check_readable(name, contents, namespace)
    yield from _check_walls(name, namespace_object, contents)
    yield from _check_quota(name, namespace, contents)
    yield from _check_code_server(snapshot, registration, contents)


def check_refusals(snapshot: Snapshot) -> Iterator[Finding]:
    """Report each Service that workspace-sync refuses."""
    for refusal in snapshot.plan.refusals:
        yield problem(
            refusal.service.location,
            f"Refused: {refusal.message}",
            f"`kubectl -n {refusal.service.namespace} get service {refusal.service.name} "
            "--show-labels` shows which release it belongs to.",
        )


def _check_walls(name: str, namespace: Object, contents: Contents) -> Iterator[Finding]:
    namespace_name = namespace["metadata"]["name"]
    missing: list[str] = []
    labels = namespace["metadata"].get("labels")
    if labels is not None and labels.get(_POD_SECURITY_LABEL) != _POD_SECURITY:
        missing.append(f"label {_POD_SECURITY_LABEL}={_POD_SECURITY} on the namespace")
    for resource, kind, expected in _WALLS:
        if resource not in contents.unreadable:
            missing += [f"{kind} {each}" for each in expected if not contents.named(resource, each)]
    if missing:
        yield problem(
            name,
            f"Namespace {namespace_name} lacks {', '.join(missing)}.",
            "Run `helm upgrade` of the platform: it restores them.",
        )
    else:
        yield ok(name, f"The walls of namespace {namespace_name} are complete.")


def _check_quota(name: str, namespace: str, contents: Contents) -> Iterator[Finding]:
    quota = contents.named("resourcequotas", names.QUOTA)
    if quota is None:
        return
    used, hard = part(quota, "status", "used"), part(quota, "status", "hard")
    shares = {
        resource: float(quantities.parse(used.get(resource, "0")) / quantities.parse(limit))
        for resource, limit in hard.items()
        if quantities.parse(limit) > 0
    }
    tight = {resource: share for resource, share in shares.items() if share >= _NEARLY_FULL}
    for resource, share in sorted(tight.items(), key=lambda each: -each[1]):
        yield warning(
            name,
            f"Its quota of {resource} is {'full' if share >= 1 else 'nearly full'}: "
            f"{used.get(resource)} of {hard[resource]} ({share:.0%}) is in use. More steps wait "
            "until there is room.",
            f"Wait for runs of {name} to end, or raise codeLocations.{name}.quota in the "
            f"platform's values. `kubectl -n {namespace} get pods` lists the pods that use it.",
        )
    if shares and not tight:
        resource, share = max(shares.items(), key=lambda each: each[1])
        yield ok(name, f"Its quota has room; the highest use is {share:.0%} of {resource}.")


def _check_code_server(
    snapshot: Snapshot, registration: Registration, contents: Contents
) -> Iterator[Finding]:
    name, namespace = registration.name, registration.namespace
    deployment = contents.named("deployments", name)
    is_in_workspace = any(each.name == name for each in snapshot.plan.locations)
    unknown = contents.unreadable.keys() & {"deployments", "services"}
    if deployment is None and not is_in_workspace:
        if not unknown:
            yield warning(
                name,
                f"Nothing is deployed yet: namespace {namespace} has neither Deployment {name} nor "
                "a Service with its label.",
                f"Install the chart code-location as release {name} in namespace {namespace}.",
            )
        return
    if not is_in_workspace and not unknown:
        yield problem(
            name,
            f"Its Deployment exists, but no Service in namespace {namespace} has the label "
            f"{names.CODE_LOCATION_LABEL}={name} and a port named {names.GRPC_PORT_NAME}.",
            f"Run `helm upgrade` of release {name}: it restores the Service.",
        )
    if deployment is not None and is_available(deployment):
        yield ok(name, f"Its code server runs (Deployment {name} in namespace {namespace}).")
    elif deployment is not None:
        yield problem(
            name,
            f"Its code server does not run: {why_unavailable(deployment, contents['pods'])}",
            f"See `kubectl -n {namespace} describe deployment {name}` and its pods.",
        )
    if is_in_workspace:
        yield from _check_loaded(snapshot, name, namespace)


def _check_loaded(snapshot: Snapshot, name: str, namespace: str) -> Iterator[Finding]:
    if snapshot.web_server.error is not None:
        return
    status = snapshot.web_server.locations.get(name)
    if status is None:
        yield problem(
            name,
            "The web server does not list it, although its Service is valid.",
            f"See `kubectl -n {snapshot.namespace} logs deployment/"
            f"{names.webserver(snapshot.release)} -c {SYNC_CONTAINER}`.",
        )
    elif status.error is not None:
        yield problem(
            name,
            f"The web server cannot load it: {one_line(status.error)}",
            "The Dagster UI shows the whole error under Deployment. For the code server's log run "
            f"`kubectl -n {namespace} logs deployment/{name}`.",
        )
    elif status.is_loading:
        yield warning(
            name, "The web server is still loading it.", "Run `bulkhead doctor` again in a minute."
        )
    else:
        yield ok(name, f"The web server loaded it at {utc(status.updated)}.")
