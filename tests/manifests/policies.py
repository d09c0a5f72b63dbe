"""What holds for every object that the charts make. Each policy yields a sentence per violation."""

from __future__ import annotations

import base64
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from tests.manifests.render import Manifest, containers, identity, pod_template

from bulkhead.kube.objects import part, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Policy = Callable[[list[Manifest]], Iterator[str]]

TOKENS = {
    "webserver": "workspace-sync watches Services; a run that a person terminates loses its Job",
    "daemon": "workspace-sync watches Services; runs are Jobs, and so are steps left behind",
}
"""Components whose pods hold a token for the Kubernetes API, and what they do with it."""

CLUSTER_WIDE = {
    "Namespace": "a code location lives in one that the admin makes",
}
"""Kinds without a namespace that the charts may make, and why. No right is among them."""

CLUSTER_SCOPED = {
    *("Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"),
    *("PriorityClass", "StorageClass", "PersistentVolume", "APIService"),
    *("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
}

LABELS = {
    f"app.kubernetes.io/{part}"
    for part in ("name", "instance", "component", "part-of", "managed-by", "version")
}

KEPT_WITHOUT_PLATFORM = {"bulkhead-launcher", "bulkhead-discovery", "bulkhead-status"}
"""Roles and bindings that let the platform into a code location, and go with it."""

MAKES_PODS = {
    "bulkhead-deployer": "it chooses the pods of its Deployment anyway; one loads the definitions",
}
"""Roles that may make pods themselves, and why."""

FORBIDDEN_VERBS = {"*", "escalate", "bind", "impersonate", "deletecollection"}
FORBIDDEN_RESOURCES = {"*", "secrets", "pods/exec", "pods/attach", "serviceaccounts/token"}


def has_requests_and_limits(manifests: list[Manifest]) -> Iterator[str]:
    """Every container says how much memory and CPU it needs, and gets at most."""
    for where, container in _containers(manifests):
        for kind, resource in itertools.product(("requests", "limits"), ("cpu", "memory")):
            if not container.get("resources", {}).get(kind, {}).get(resource):
                yield f"{where} has no {resource} in its {kind}"


def is_restricted(manifests: list[Manifest]) -> Iterator[str]:
    """Every pod would pass PodSecurity `restricted`, with a read-only root file system on top."""
    for where, template in _pods(manifests):
        spec = template["spec"]
        security = spec.get("securityContext", {})
        if security.get("runAsNonRoot") is not True or security.get("runAsUser") != 10001:
            yield f"{where} does not run as user 10001"
        if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{where} has no seccomp profile"
        yield from (
            f"{where} has {key}" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)
        )
        for volume in spec.get("volumes", []):
            if "hostPath" in volume:
                yield f"{where} mounts a folder of the node: {volume['name']}"
    wanted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for where, container in _containers(manifests):
        security = container.get("securityContext", {})
        yield from (
            f"{where}: securityContext.{key} is not {value}"
            for key, value in wanted.items()
            if security.get(key) != value
        )
        yield from (f"{where}: securityContext.{key}" for key in security if key not in wanted)


def names_its_image(manifests: list[Manifest]) -> Iterator[str]:
    """Every image has a tag that says something, or a digest."""
    for where, container in _containers(manifests):
        image = container["image"]
        if not re.search(r"(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$", image):
            yield f"{where}: image {image} has no tag and no digest"
        if image.endswith(":latest"):
            yield f"{where}: image {image} is latest"


def mounts_no_token_without_need(manifests: list[Manifest]) -> Iterator[str]:
    """A pod says whether it mounts a token; only those that talk to the API do."""
    for where, template in _pods(manifests):
        component = template["metadata"]["labels"].get("app.kubernetes.io/component")
        needed = component in TOKENS
        if template["spec"].get("automountServiceAccountToken") is not needed:
            yield f"{where}: automountServiceAccountToken is not {str(needed).lower()}"
    for manifest in manifests:
        if manifest["kind"] == "ServiceAccount" and manifest.get("automountServiceAccountToken", 1):
            yield f"{_name(manifest)} hands its token to every pod"


def grants_little(manifests: list[Manifest]) -> Iterator[str]:
    """No wildcard, no Secrets, no way to another's rights; nothing for the whole cluster."""
    for manifest in manifests:
        if manifest["kind"] in CLUSTER_SCOPED and manifest["kind"] not in CLUSTER_WIDE:
            yield f"{_name(manifest)} holds for the whole cluster"
        for rule in parts(manifest, "rules") if "Role" in manifest["kind"] else ():
            if "*" in rule["apiGroups"]:
                yield f"{_name(manifest)} has a wildcard for API groups"
            for verb in FORBIDDEN_VERBS.intersection(rule["verbs"]):
                yield f"{_name(manifest)} grants {verb} on {rule['resources']}"
            for resource in FORBIDDEN_RESOURCES.intersection(rule["resources"]):
                yield f"{_name(manifest)} grants {rule['verbs']} on {resource}"
            makes_pods = "create" in rule["verbs"] and "pods" in rule["resources"]
            if makes_pods and manifest["metadata"]["name"] not in MAKES_PODS:
                yield f"{_name(manifest)} makes pods itself"


def is_labelled(manifests: list[Manifest]) -> Iterator[str]:
    """Every object and every pod has Kubernetes' recommended labels."""
    templates = [(_name(each), pod_template(each)) for each in manifests]
    objects = [
        *((_name(each), each) for each in manifests),
        *((f"pods of {name}", template) for name, template in templates if template),
    ]
    for where, item in objects:
        labels = item["metadata"].get("labels", {})
        yield from (f"{where} has no label {label}" for label in sorted(LABELS - labels.keys()))
        if labels.get("app.kubernetes.io/part-of") != "bulkhead":
            yield f"{where} is no part of bulkhead"


def names_its_namespace(manifests: list[Manifest]) -> Iterator[str]:
    """Every object says where it goes, for whoever applies rendered manifests, and goes once."""
    for manifest in manifests:
        scoped = manifest["kind"] in CLUSTER_SCOPED
        if scoped == bool(manifest["metadata"].get("namespace")):
            yield f"{_name(manifest)} {'has a' if scoped else 'has no'} namespace"
    seen = [identity(manifest) for manifest in manifests]
    yield from (
        f"{each} is there twice" for each in {each for each in seen if seen.count(each) > 1}
    )


def selects_its_pods(manifests: list[Manifest]) -> Iterator[str]:
    """Selectors of Deployments, StatefulSets, Services and budgets find the pods meant by them."""
    pods = [template for _, template in _pods(manifests)]
    for manifest in manifests:
        selector = manifest.get("spec", {}).get("selector")
        if not selector:
            continue
        wanted = selector.get("matchLabels", selector).items()
        found = [each for each in pods if wanted <= each["metadata"]["labels"].items()]
        if len(found) != 1:
            yield f"{_name(manifest)} selects the pods of {len(found)} objects"
        elif manifest["kind"] == "Service":
            names = {
                port["name"] for each in containers(found[0]) for port in each.get("ports", [])
            }
            yield from (
                f"{_name(manifest)}: no container has a port {port['targetPort']}"
                for port in manifest["spec"]["ports"]
                if port["targetPort"] not in names
            )


def is_probed(manifests: list[Manifest]) -> Iterator[str]:
    """What runs for long says whether it lives; what others call says whether it can answer."""
    called = [each["spec"]["selector"] for each in manifests if each["kind"] == "Service"]
    for manifest in manifests:
        template = pod_template(manifest)
        if template is None or manifest["kind"] == "Job":
            continue
        labels = template["metadata"]["labels"].items()
        for container in containers(template):
            where = f"{_name(manifest)}, container {container['name']}"
            sidecar = container.get("restartPolicy") == "Always"
            init = container in template["spec"].get("initContainers", [])
            if "livenessProbe" not in container and (sidecar or not init):
                yield f"{where} has no liveness probe"
            if sidecar and "startupProbe" not in container:
                yield f"{where} is a sidecar without a startup probe"
            if init or "readinessProbe" in container:
                continue
            if any(selector.items() <= labels for selector in called):
                yield f"{where} has no readiness probe"


def finds_what_it_reads(manifests: list[Manifest]) -> Iterator[str]:
    """Every volume that is mounted is there, and no two things are mounted at one place."""
    for where, template in _pods(manifests):
        volumes = [each["name"] for each in template["spec"].get("volumes", [])]
        volumes += ["data"] * ("StatefulSet" in where)
        if len(volumes) != len(set(volumes)):
            yield f"{where} has a volume twice"
        for container in containers(template):
            mounts = container.get("volumeMounts", [])
            yield from (
                f"{where}, container {container['name']}: no volume {mount['name']}"
                for mount in mounts
                if mount["name"] not in volumes
            )
            paths = [mount["mountPath"] for mount in mounts]
            if len(paths) != len(set(paths)):
                yield f"{where}, container {container['name']} mounts two volumes at one path"


def hides_passwords(manifests: list[Manifest]) -> Iterator[str]:
    """Nothing that a Secret holds in private stands anywhere else."""
    secrets = {
        base64.b64decode(value).decode()
        for manifest in manifests
        if manifest["kind"] == "Secret"
        for key, value in part(manifest, "data").items()
        if not key.endswith("USERNAME")
    }
    for manifest in manifests:
        if manifest["kind"] != "Secret":
            text = json.dumps(manifest)
            if any(secret in text for secret in secrets):
                yield f"{_name(manifest)} shows what a Secret holds"
            if re.search(r"postgresql://[^ ]*:[^ ]*@", text):
                yield f"{_name(manifest)} has a password in an address"


def stays_with_its_location(manifests: list[Manifest]) -> Iterator[str]:
    """What a code location lives from stays when the platform is uninstalled; all or nothing."""
    policy = "helm.sh/resource-policy"
    keeps = {
        each["metadata"]["name"]: each["metadata"].get("annotations", {}).get(policy)
        for each in manifests
        if each["kind"] == "Namespace"
    }
    for manifest in manifests:
        metadata = manifest["metadata"]
        if metadata.get("namespace") not in keeps:
            continue
        goes = "Role" in manifest["kind"] and metadata["name"] in KEPT_WITHOUT_PLATFORM
        wanted = None if goes else keeps[metadata["namespace"]]
        if metadata.get("annotations", {}).get(policy) != wanted:
            yield f"{_name(manifest)}: {policy} is not {wanted}"


POLICIES: tuple[Policy, ...] = (
    has_requests_and_limits,
    is_restricted,
    names_its_image,
    mounts_no_token_without_need,
    grants_little,
    is_labelled,
    names_its_namespace,
    selects_its_pods,
    is_probed,
    finds_what_it_reads,
    hides_passwords,
    stays_with_its_location,
)


def _name(manifest: Manifest) -> str:
    kind, namespace, name = identity(manifest)
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for manifest in manifests:
        template = pod_template(manifest)
        if template is not None:
            yield f"pods of {_name(manifest)}", template


def _containers(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, template in _pods(manifests):
        for container in containers(template):
            yield f"{where}, container {container['name']}", container
