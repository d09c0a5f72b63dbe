"""The node image: kind's own if it can be pulled, else built here.

The built image has the same structure as kind's: systemd, containerd and the kubelet on Debian,
with the images of the control plane in containerd's store.
"""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bulkhead_kind import (
    debian,
    go,
    host,
    image_archive,
    node_components,
    node_programs,
    products,
)
from bulkhead_kind.engine import Engine
from bulkhead_kind.paths import BUILD, NODE_IMAGE, PRODUCTS
from bulkhead_kind.progress import Progress, Step

STOCK = (
    "docker.io/kindest/node@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
)
"""Kubernetes v1.34.11, as listed in the release notes of kind v0.33.0."""

BUILT = "localhost/bulkhead-node"

VARIABLE = "BULKHEAD_NODE_IMAGE"

MACHINE_PACKAGES = (
    # An init, and what it needs to run in a container.
    "systemd",
    "systemd-sysv",
    "dbus",
    # Containers and their network.
    "containerd",
    "runc",
    "containernetworking-plugins",
    # What the kubelet and kubeadm call.
    "conntrack",
    "ethtool",
    "iproute2",
    "iptables",
    "kmod",
    "mount",
    "nftables",
    "procps",
    "socat",
    "util-linux",
    # For pulling images.
    "ca-certificates",
)

MASKED_UNITS = (
    # Consoles and logins.
    "console-getty.service",
    "getty.target",
    "systemd-logind.service",
    # The host manages devices and the clock.
    "systemd-modules-load.service",
    "systemd-timesyncd.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    # Maintenance of long-lived machines.
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
)

HOST_PROGRAMS = ("kubeadm", "kubectl", "kubelet")


@dataclass(frozen=True)
class NodeImage:
    """An image for the nodes, in the engine's store; `built`: not kind's own."""

    reference: str
    built: bool


def ensure(engine: Engine, progress: Progress) -> NodeImage:
    """Return the node image to use, pulled or built if needed; print which of the two.

    Raises StepError when a pull or a build fails.
    """
    named = os.environ.get(VARIABLE)
    if named:
        progress.print(f"Node image: {named} (from {VARIABLE})")
        return NodeImage(named, built=named.startswith(f"{BUILT}:"))
    if engine.has_image(STOCK):
        return NodeImage(STOCK, built=False)
    reference = built_reference()
    if engine.has_image(reference):
        return NodeImage(reference, built=True)
    missing = engine.registry_has(STOCK)
    if missing is None:
        progress.print("Node image: kind's own, from its registry")
        with progress.step("Pull the node image") as step:
            engine.run(step, "pull", STOCK)
        return NodeImage(STOCK, built=False)
    progress.print(
        "Node image: built here from Debian packages and Go modules; kind's own cannot be "
        f"pulled [dim]({missing})[/]"
    )
    _build(engine, progress, reference)
    return NodeImage(reference, built=True)


def built_reference() -> str:
    """Return the name of the built node image; its tag is the hash of all its inputs."""
    systems = (debian.key(MACHINE_PACKAGES), debian.key(node_components.PACKAGES))
    makers = (image_archive, node_components, node_programs)
    code = [Path(__file__), *(Path(str(module.__file__)) for module in makers)]
    return f"{BUILT}:{products.key(*systems, NODE_IMAGE, *code)}"


def _build(engine: Engine, progress: Progress, reference: str) -> None:
    with ThreadPoolExecutor() as pool:
        # Compiling takes minutes; the downloads run in parallel.
        programs = pool.submit(_programs, progress)
        systems = pool.submit(_root_file_systems, progress)
        compiled, (machine, base) = programs.result(), systems.result()
    work = BUILD / "node-image"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with progress.step("Pack the images of the control plane"):
        images = node_components.images(work, compiled, base)
        image_archive.write(work / "images.tar", images, host.architecture())
    with progress.step("Assemble the node") as step:
        root = work / "root"
        _assemble(step, root, machine, compiled)
        _preload(step, root, work / "images.tar")
    with progress.step("Import the node image") as step:
        _import(engine, step, root, reference)
    shutil.rmtree(work)


def _programs(progress: Progress) -> Path:
    key = products.key(
        host.architecture(),
        go.version(),
        Path(node_programs.__file__),
        NODE_IMAGE / "go.mod",
        NODE_IMAGE / "go.sum",
        NODE_IMAGE / "coredns",
    )

    def make(folder: Path) -> None:
        with progress.step(f"Compile Kubernetes {node_programs.kubernetes_version()}") as step:
            node_programs.build(step, folder)

    return products.ensure(PRODUCTS, "node-programs", key, make)


def _root_file_systems(progress: Progress) -> tuple[Path, Path]:
    """Return the tars of the node's own system and of the base of the images in it."""
    return (
        debian.system(progress, "node", MACHINE_PACKAGES),
        debian.system(progress, "node-base", node_components.PACKAGES),
    )


def _assemble(step: Step, root: Path, machine: Path, programs: Path) -> None:
    """Lay out the node's root file system in the folder `root`."""
    root.mkdir()
    step.run(["tar", "--numeric-owner", "-C", root, "-xf", machine])
    step.run(["cp", "--archive", "--no-preserve=ownership", f"{NODE_IMAGE}/rootfs/.", root])
    for program in HOST_PROGRAMS:
        shutil.copy2(programs / program, root / "usr/bin" / program)
    (root / "kind/version").write_text(f"{node_programs.kubernetes_version()}\n")
    shutil.copy2(NODE_IMAGE / "network/daemonset.yaml", root / "kind/manifests/default-cni.yaml")
    units = root / "etc/systemd/system"
    for unit in MASKED_UNITS:
        _link(units / unit, "/dev/null")
    _link(units / "default.target", "/lib/systemd/system/multi-user.target")
    _link(units / "multi-user.target.wants/kubelet.service", "/etc/systemd/system/kubelet.service")


def _link(link: Path, target: str) -> None:
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _preload(step: Step, root: Path, archive: Path) -> None:
    """Import the images of `archive` into the store of the containerd in `root`.

    It runs in its own mount and process namespace, so that all of its processes end with it.
    """
    step.run(
        [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            NODE_IMAGE / "preload.sh",
            root,
            archive,
        ]
    )


def _import(engine: Engine, step: Step, root: Path, reference: str) -> None:
    tarball = root.with_suffix(".tar")
    step.run(["tar", "--numeric-owner", "--xattrs", "-C", root, "-cf", tarball, "."])
    engine.run(
        step,
        "import",
        '--change=ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]',
        f"--change=ENV PATH={image_archive.PATH}",
        "--change=STOPSIGNAL SIGRTMIN+3",
        tarball,
        reference,
    )
