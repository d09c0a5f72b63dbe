"""The image registry beside the cluster: this machine pushes to it, the nodes pull from it.

Only changed layers are sent, and pods are pinned by digest as in production.
"""

import http
import http.client
import tempfile
import time
from pathlib import Path

from bulkhead_kind import cluster, debian, host, image_archive, process, products
from bulkhead_kind.engine import Engine, pull_or_build
from bulkhead_kind.image_archive import Image
from bulkhead_kind.paths import BUILD, REGISTRY
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress, Step

NAME = "bulkhead-registry"
"""Name of the container, of its volume, and of its host in the cluster."""

ADDRESS = f"{NAME}:5000"
"""Address for the cluster's nodes: the host part of an image in a pod."""

LOCAL_HOST = "127.0.0.1"
LOCAL_PORT = 5001

STOCK = (
    "docker.io/library/registry@"
    "sha256:a3d8aaa63ed8681a604f1dea0aa03f100d5895b6a58ace528858a7b332415373"
)
"""registry 2.8.3, the digest of `registry:2` since its release."""

BUILT = "localhost/bulkhead-registry"

PACKAGES = ("ca-certificates", "docker-registry")

CONTENT = "/var/lib/registry"

ANSWER_SECONDS = 30.0


def ensure_image(engine: Engine, progress: Progress) -> str:
    """Return the image to run, pulled or built if needed; raises StepError."""
    built = f"{BUILT}:{products.key(debian.key(PACKAGES), REGISTRY)}"

    def build() -> None:
        system = debian.system(progress, "registry", PACKAGES)
        with progress.step("Build the registry's image") as step:
            _build(engine, step, system, built)

    return pull_or_build(
        engine, progress, title="the registry's image", stock=STOCK, built=built, build=build
    )


def ensure(engine: Engine, progress: Progress, image: str) -> None:
    """Run the registry on the cluster's network, and configure every node to use it.

    The cluster must exist, for its network. Raises StepError when the registry does not start.
    """
    # An engine whose processes were killed still reports a container as running.
    if not (engine.is_running(NAME) and _answers()):
        with progress.step("Start the registry") as step:
            if engine.has_container(NAME):
                engine.run(step, "rm", "--force", NAME)
            engine.run(
                step,
                "run",
                "--detach",
                f"--name={NAME}",
                "--restart=always",
                f"--network={cluster.NETWORK}",
                f"--publish={LOCAL_HOST}:{LOCAL_PORT}:5000",
                f"--volume={NAME}:{CONTENT}",
                image,
            )
            _wait_for_answer()
    for node in cluster.nodes(engine):
        _configure_node(engine, node)


def push(engine: Engine, progress: Progress, reference: str, to: str | None = None) -> str:
    """Push an image of the engine's store; return its reference by digest for pods.

    `localhost/bulkhead-platform:1f2e` becomes `bulkhead-registry:5000/bulkhead-platform@sha256:…`,
    or `<to>/bulkhead-platform@sha256:…` if `to` names another registry. The engine must be logged
    in there, and uses TLS. Raises StepError when the push fails.
    """
    name = reference.removeprefix("localhost/")
    target = f"{to or f'{LOCAL_HOST}:{LOCAL_PORT}'}/{name}"
    with progress.step(f"Push {name}") as step:
        digest = (
            _push_with_podman(engine, step, reference, target, plain=to is None)
            if engine.name == "podman"
            else _push_with_docker(engine, step, reference, target)
        )
    return f"{to or ADDRESS}/{name.rsplit(':', 1)[0]}@{digest}"


def delete(engine: Engine, progress: Progress, *, content: bool) -> None:
    """Remove the registry's container, and with `content` also its volume."""
    if engine.has_container(NAME):
        with progress.step("Remove the registry") as step:
            engine.run(step, "rm", "--force", NAME)
    if content and engine.succeeds("volume", "inspect", NAME):
        engine.output("volume", "rm", NAME)


def _build(engine: Engine, step: Step, system: Path, reference: str) -> None:
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        work = Path(scratch)
        layers = (
            image_archive.layer_of_tar(system, work / "system.tar.gz"),
            image_archive.layer_of_paths(
                [(REGISTRY / "config.yaml", "etc/bulkhead/registry.yaml")],
                work / "config.tar.gz",
            ),
        )
        entrypoint = ("/usr/bin/docker-registry", "serve", "/etc/bulkhead/registry.yaml")
        archive = work / "image.tar"
        image_archive.write(archive, [Image(reference, layers, entrypoint)], host.architecture())
        engine.run(step, "load", f"--input={archive}")


def _wait_for_answer() -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while not _answers():
        if time.monotonic() > deadline:
            raise CommandError(
                f"The registry did not respond on {LOCAL_HOST}:{LOCAL_PORT} within "
                f"{ANSWER_SECONDS:.0f} s."
            )
        time.sleep(0.2)


def _answers() -> bool:
    connection = http.client.HTTPConnection(LOCAL_HOST, LOCAL_PORT, timeout=2)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _configure_node(engine: Engine, node: str) -> None:
    """Configure containerd on `node` to use plain HTTP for the registry."""
    folder = f"/etc/containerd/certs.d/{ADDRESS}"
    hosts = (
        f'server = "http://{ADDRESS}"\n'
        f'[host."http://{ADDRESS}"]\n'
        'capabilities = ["pull", "resolve"]\n'
    )
    process.output(
        [
            engine.name,
            "exec",
            "--interactive",
            node,
            "sh",
            "-c",
            f"mkdir -p {folder} && cat > {folder}/hosts.toml",
        ],
        env=engine.environment,
        stdin=hosts,
    )


def _push_with_podman(
    engine: Engine, step: Step, reference: str, target: str, *, plain: bool
) -> str:
    with tempfile.NamedTemporaryFile() as digest:
        engine.run(
            step,
            "push",
            *(["--tls-verify=false"] if plain else []),
            f"--digestfile={digest.name}",
            reference,
            target,
        )
        return Path(digest.name).read_text().strip()


def _push_with_docker(engine: Engine, step: Step, reference: str, target: str) -> str:
    """Docker uses plain HTTP for registries on 127.0.0.1, and records the pushed digest."""
    engine.run(step, "tag", reference, target)
    engine.run(step, "push", target)
    digests = engine.output(
        "image", "inspect", "--format={{range .RepoDigests}}{{println .}}{{end}}", target
    )
    repository = target.rsplit(":", 1)[0]
    for named in digests.split():
        if named.startswith(f"{repository}@"):
            return named.removeprefix(f"{repository}@")
    raise CommandError(f"Docker has no digest of {target} after the push.")
