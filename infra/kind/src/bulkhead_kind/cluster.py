"""The kind cluster: made, found, made anew when it is dead, removed. Never another than ours."""

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
"""How long the nodes may take to become Ready once kubeadm is done; 10 to 20 s are usual."""

State = Literal["absent", "dead", "running"]


class ClusterError(Exception):
    """The cluster can't be as it should; `str()` says why and what to do."""


def port() -> int:
    """Return the port of this machine that the web page is to be on; raises ClusterError."""
    given = os.environ.get(PORT_VARIABLE, str(DEFAULT_PORT))
    if not given.isdecimal() or not 0 < int(given) <= HIGHEST_PORT:
        raise ClusterError(
            f"{PORT_VARIABLE} is {given!r}; give the number of a free port, 1 to {HIGHEST_PORT}"
        )
    return int(given)


def nodes(engine: Engine) -> list[str]:
    """Return the names of the nodes' containers, running or not."""
    listed = engine.output(
        "ps", "--all", f"--filter=label={CLUSTER_LABEL}={NAME}", "--format={{.Names}}"
    )
    return sorted(listed.split())


def state(engine: Engine, kubectl: Path) -> State:
    """Tell whether our cluster is there, and whether it answers."""
    containers = nodes(engine)
    if not containers:
        return "absent"
    answers = all(engine.is_running(name) for name in containers) and process.succeeds(
        [str(kubectl), f"--kubeconfig={KUBECONFIG}", "get", "--raw=/readyz"], seconds=10
    )
    return "running" if answers else "dead"


def node_image_of(engine: Engine) -> str:
    """Return the image that the nodes of our cluster run, as the engine names it."""
    return engine.output("container", "inspect", "--format={{.Config.Image}}", nodes(engine)[0])


def ensure(engine: Engine, progress: Progress, kind: Path, kubectl: Path, image: NodeImage) -> None:
    """Make our cluster, its kubeconfig in `build/kubeconfig`, unless it is there and answers.

    One that doesn't answer, as after a restart of this machine, is replaced. Raises StepError
    when it can't be made.
    """
    if nodes(engine) and state(engine, kubectl) == "dead":
        _restore_kubeconfig(engine, kind)
    found = state(engine, kubectl)
    if found == "running":
        _warn_of_other_image(engine, progress, image)
        return
    if found == "dead":
        progress.say("The cluster does not answer (an earlier login's?): making it anew")
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
    """Remove the nodes of our cluster with all they hold; works on a dead one too."""
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
        # As containerd in the built image: systemd in a container can't be relied on for cgroups.
        kubelet |= {"cgroupDriver": "cgroupfs", "cgroupRoot": "/"}
    if cgroup_v1:
        kubelet["failCgroupV1"] = False
    if lacks_sys_resource:
        # The kubelet then does without the kernel settings that it may not change.
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
    """Fetch the kubeconfig again, in case only the file is gone (a fresh clone, a `clean`)."""
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
        progress.say(
            f"[yellow]The cluster runs on the node image {running}; what belongs to these sources "
            f"is {image.reference}.[/] To change to it (all in the cluster is lost): "
            "`bulkhead-kind cluster down`, then `up`."
        )
