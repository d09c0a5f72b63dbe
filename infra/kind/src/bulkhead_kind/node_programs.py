"""The programs of the built node, compiled from the one Go module in `node-image/`."""

import re
from pathlib import Path

from bulkhead_kind import go, host
from bulkhead_kind.paths import NODE_IMAGE
from bulkhead_kind.progress import Step

KUBERNETES = "k8s.io/kubernetes"
ETCD = "go.etcd.io/etcd/server/v3"
STORAGE = "github.com/rancher/local-path-provisioner"

COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
)

VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
"""Packages with the version of Kubernetes' programs, which the linker sets."""


def kubernetes_version() -> str:
    """Return the Kubernetes version of the module, like `v1.34.10`."""
    found = re.search(rf"{KUBERNETES} (v\S+)", (NODE_IMAGE / "go.mod").read_text())
    if found is None:
        raise ValueError(f"{NODE_IMAGE / 'go.mod'} does not require {KUBERNETES}")
    return found[1]


def build(step: Step, folder: Path) -> None:
    """Compile every program of the node into `folder`; raises CommandError.

    Go caches what it compiles, so a second call continues where the first one stopped.
    """
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".", 2)
    facts = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    stamps = [
        f"-X {package}.{name}={value}"
        for package in VERSION_PACKAGES
        for name, value in facts.items()
    ]
    kubernetes = [f"{KUBERNETES}/cmd/{command}" for command in COMMANDS]
    _go_build(step, folder, [*kubernetes, ETCD, "./coredns"], stamps)
    # A separate call: it imports the logging library by its old name, with a capital letter,
    # and Go rejects both names in one call.
    _go_build(step, folder, [STORAGE], [])
    # Go names a program after its package.
    (folder / "server").rename(folder / "etcd")


def _go_build(step: Step, folder: Path, packages: list[str], stamps: list[str]) -> None:
    flags = " ".join(["-s", "-w", *stamps])
    step.run(
        [go.program(step), "build", "-trimpath", "-ldflags", flags, "-o", f"{folder}/", *packages],
        env={"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": host.architecture()},
        cwd=NODE_IMAGE,
    )
