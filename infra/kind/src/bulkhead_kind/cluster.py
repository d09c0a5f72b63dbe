"""Creates, finds, replaces and removes the kind cluster `bulkhead`, and no other cluster."""

import os
from pathlib import Path
from typing import Any, Literal

import yaml

from bulkhead_kind import host, process
from bulkhead_kind.engine import Engine
from bulkhead_kind.node_image import NodeImage
from bulkhead_kind.paths import BUILD, KIND, KUBECONFIG
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress

NAME = "bulkhead"
CONTEXT = f"kind-{NAME}"
CLUSTER_LABEL = "io.x-k8s.kind.cluster"
"""kind's label on the containers of its nodes; the value is the cluster's name."""

NETWORK = "kind"
"""The engine's network that kind puts every cluster's nodes on."""

PORT_VARIABLE = "BULKHEAD_PORT"
DEFAULT_PORT = 3000
HIGHEST_PORT = 65_535

READY_SECONDS = 180
"""Timeout for the nodes to become Ready after kubeadm; 10 to 20 s are usual."""

State = Literal["absent", "dead", "running"]


class ClusterError(Exception):
    """A setting of the cluster is invalid; `str()` names it and the allowed values."""


def port() -> int:
    """Return the port of the Dagster UI on this machine; raises ClusterError."""
    given = os.environ.get(PORT_VARIABLE, str(DEFAULT_PORT))
    if not given.isdecimal() or not 0 < int(given) <= HIGHEST_PORT:
        raise ClusterError(
            f"{PORT_VARIABLE} is {given!r}. Set it to the number of a free port, "
            f"1 to {HIGHEST_PORT}."
        )
    return int(given)


def nodes(engine: Engine) -> list[str]:
    """Return the names of the nodes' containers, running or not."""
    listed = engine.output(
        "ps", "--all", f"--filter=label={CLUSTER_LABEL}={NAME}", "--format={{.Names}}"
    )
    return sorted(listed.split())


def state(engine: Engine, kubectl: Path) -> State:
    """Return whether our cluster exists, and whether its API server responds."""
    containers = nodes(engine)
    if not containers:
        return "absent"
    answers = all(engine.is_running(name) for name in containers) and process.succeeds(
        [str(kubectl), f"--kubeconfig={KUBECONFIG}", "get", "--raw=/readyz"], timeout=10
    )
    return "running" if answers else "dead"


def node_image_of(engine: Engine) -> str:
    """Return the image that the nodes of our cluster run, as the engine names it."""
    return engine.output("container", "inspect", "--format={{.Config.Image}}", nodes(engine)[0])


def ensure(engine: Engine, progress: Progress, kind: Path, kubectl: Path, image: NodeImage) -> None:
    """Create our cluster, with its kubeconfig in `build/kubeconfig`, unless it runs already.

    A cluster that does not respond, for example after a restart of this machine, is replaced.
    Raises StepError when the cluster cannot be created.
    """
    if nodes(engine) and state(engine, kubectl) == "dead":
        _restore_kubeconfig(engine, kind)
    found = state(engine, kubectl)
    if found == "running":
        _warn_of_other_image(engine, progress, image)
        return
    if found == "dead":
        progress.print("The cluster does not respond, for example after a reboot: replacing it")
        delete(engine, progress)
    _create(engine, progress, kind, image)
    with progress.step("Wait for the nodes") as step:
        step.run(
            [
                kubectl,
                f"--kubeconfig={KUBECONFIG}",
                "wait",
                "--for=condition=Ready",
                f"--timeout={READY_SECONDS}s",
                "nodes",
                "--all",
            ]
        )


def delete(engine: Engine, progress: Progress) -> None:
    """Remove the nodes of our cluster and their volumes, also if they do not run."""
    containers = nodes(engine)
    if containers:
        with progress.step("Remove the cluster") as step:
            engine.run(step, "rm", "--force", "--volumes", *containers)
            for container in containers:
                # kind labels a node's volume with the node's name (podman only).
                volumes = engine.output("volume", "ls", "--quiet", f"--filter=label={container}")
                if volumes:
                    engine.run(step, "volume", "rm", "--force", *volumes.split())
    KUBECONFIG.unlink(missing_ok=True)


def remove_network(engine: Engine) -> None:
    """Remove kind's network if no other cluster uses it."""
    attached = engine.output("ps", "--all", "--quiet", f"--filter=network={NETWORK}")
    if not attached and engine.succeeds("network", "inspect", NETWORK):
        engine.output("network", "rm", NETWORK)


def config(*, built: bool, port: int, cgroup_v1: bool, lacks_sys_resource: bool) -> str:
    """Return kind's configuration: config.yaml, completed for the node image and this host."""
    settings: dict[str, Any] = yaml.safe_load((KIND / "config.yaml").read_text())
    settings["nodes"][0]["extraPortMappings"][0]["hostPort"] = port
    kubelet: dict[str, Any] = {}
    if built:
        # As containerd in the built image: systemd in a container does not always manage cgroups.
        kubelet |= {"cgroupDriver": "cgroupfs", "cgroupRoot": "/"}
    if cgroup_v1:
        kubelet["failCgroupV1"] = False
    if lacks_sys_resource:
        # The kubelet then skips the kernel settings that it may not change.
        kubelet["featureGates"] = {"KubeletInUserNamespace": True}
    if kubelet:
        patch = yaml.safe_dump({"kind": "KubeletConfiguration", **kubelet})
        settings["kubeadmConfigPatches"].append(patch)
    return yaml.safe_dump(settings, sort_keys=False)


def _create(engine: Engine, progress: Progress, kind: Path, image: NodeImage) -> None:
    host.provide_modules_folder()
    path = BUILD / "kind-config.yaml"
    path.write_text(
        config(
            built=image.built,
            port=port(),
            cgroup_v1=host.has_cgroup_v1(),
            lacks_sys_resource=host.lacks_sys_resource(),
        )
    )
    with progress.step("Create the cluster") as step:
        step.run(
            [
                kind,
                "create",
                "cluster",
                f"--name={NAME}",
                f"--image={image.reference}",
                f"--config={path}",
                f"--kubeconfig={KUBECONFIG}",
            ],
            env=engine.environment,
        )


def _restore_kubeconfig(engine: Engine, kind: Path) -> None:
    """Restore the kubeconfig, in case only the file is gone (a fresh clone, a `clean`)."""
    try:
        process.output(
            [str(kind), "export", "kubeconfig", f"--name={NAME}", f"--kubeconfig={KUBECONFIG}"],
            env=engine.environment,
        )
    except CommandError:
        KUBECONFIG.unlink(missing_ok=True)


def _warn_of_other_image(engine: Engine, progress: Progress, image: NodeImage) -> None:
    running = node_image_of(engine)
    if running != image.reference:
        progress.print(
            f"[yellow]The cluster runs the node image {running}; the image of these sources is "
            f"{image.reference}.[/] To replace it, run `make down`, then `make up`. "
            "Everything in the cluster is deleted."
        )
