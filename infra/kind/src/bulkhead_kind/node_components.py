"""The images inside the built node: control plane, DNS, storage, pod network."""

from pathlib import Path

from bulkhead_kind.image_archive import Image, Layer, layer_of_paths, layer_of_tar
from bulkhead_kind.node_programs import kubernetes_version
from bulkhead_kind.paths import NODE_IMAGE

PACKAGES = ("catatonit", "conntrack", "iproute2", "iptables", "kmod", "nftables", "python3")
"""Programs that kube-proxy, the network agent and the storage helper call; the pause process.

All of them share one base, which is one layer in the node's store.
"""

# The image names that this version of kubeadm uses. CoreDNS is 1.12.4 under the tag of 1.12.1,
# which does not compile against this version's client library.
REGISTRY = "registry.k8s.io"
PAUSE = f"{REGISTRY}/pause:3.10.1"
ETCD = f"{REGISTRY}/etcd:3.6.5-0"
COREDNS = f"{REGISTRY}/coredns/coredns:v1.12.1"

# The names that the manifests in `rootfs/kind/manifests` and `network/` use.
BASE = "localhost/bulkhead-node-base:built"
NETWORK = "localhost/bulkhead-network:built"
STORAGE = "localhost/bulkhead-local-path-provisioner:built"

PYTHON_MODULES = "usr/lib/python3/dist-packages"


def images(work: Path, programs: Path, base: Path) -> list[Image]:
    """Write the layers into the folder `work` and return the images.

    `programs` is the folder of compiled programs, `base` the tar of a Debian with PACKAGES.
    """

    def alone(reference: str, program: str) -> Image:
        """Return an image with one static program only, which is also its first process."""
        place = f"usr/local/bin/{program}"
        return Image(
            reference,
            (_program(programs / program, place, work),),
            entrypoint=(f"/{place}",),
        )

    def kubernetes(program: str) -> str:
        return f"{REGISTRY}/{program}:{kubernetes_version()}"

    system = layer_of_tar(base, work / "base.tar.gz")
    proxy = _program(programs / "kube-proxy", "usr/local/bin/kube-proxy", work)
    agent = layer_of_paths(
        [(NODE_IMAGE / "network/bulkhead_network", f"{PYTHON_MODULES}/bulkhead_network")],
        work / "network.tar.gz",
    )
    return [
        alone(kubernetes("kube-apiserver"), "kube-apiserver"),
        alone(kubernetes("kube-controller-manager"), "kube-controller-manager"),
        alone(kubernetes("kube-scheduler"), "kube-scheduler"),
        alone(ETCD, "etcd"),
        alone(COREDNS, "coredns"),
        alone(STORAGE, "local-path-provisioner"),
        Image(kubernetes("kube-proxy"), (system, proxy)),
        Image(NETWORK, (system, agent), entrypoint=("python3", "-m", "bulkhead_network")),
        Image(BASE, (system,)),
        Image(PAUSE, (system,), entrypoint=("/usr/bin/catatonit", "-P")),
    ]


def _program(program: Path, place: str, work: Path) -> Layer:
    return layer_of_paths([(program, place)], work / f"{program.name}.tar.gz")
