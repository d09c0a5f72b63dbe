"""Runs the flyer's program: as a subprocess of the step, or in a sidecar container.

In both cases the program works in a folder, and reports to Dagster there with the Pipes protocol.
A step's pod has no Kubernetes token, so a step cannot start a pod for its program: the sidecar is
part of the step's own pod.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError

FLYER = Path(__file__).parent / "flyer" / "flyer.sh"

FLYER_VERSION = sha256(FLYER.read_bytes()).hexdigest()[:12]

SHARED_FOLDER = "/shared"
"""The folder that both containers of the step's pod mount."""

SIDECAR_RESOURCES = {"cpu": "50m", "memory": "32Mi"}
"""Shell, awk and sort use 2 MiB each."""


class Program(dg.ConfigurableResource, ABC):
    """A program in another language than Python, and how to run it."""

    @abstractmethod
    def folder(self) -> Any:  # noqa: ANN401 - a context manager that gives a Path
        """Give the working folder of the program."""

    @abstractmethod
    def run(
        self, context: dg.AssetExecutionContext, folder: Path
    ) -> dg.PipesClientCompletedInvocation:
        """Run the program on the contents of the folder; return what it reported.

        Raises:
            DagsterPipesExecutionError: it failed.
        """


class Subprocess(Program):
    """The step runs the program as a subprocess."""

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a new temporary folder."""
        with TemporaryDirectory(prefix="flyer-") as folder:
            yield Path(folder)

    def run(
        self, context: dg.AssetExecutionContext, folder: Path
    ) -> dg.PipesClientCompletedInvocation:
        """Run the program to its end; see `Program`."""
        client = dg.PipesSubprocessClient(
            context_injector=_injector(folder), message_reader=_reader(folder)
        )
        return client.run(context=context, command=["sh", str(FLYER), str(folder)])


class Sidecar(Program):
    """The program runs in a sidecar of the step's pod, and gets requests as files."""

    shared: str = SHARED_FOLDER
    timeout_seconds: float = 120.0

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give the folder that both containers mount."""
        yield Path(self.shared)

    def run(
        self, context: dg.AssetExecutionContext, folder: Path
    ) -> dg.PipesClientCompletedInvocation:
        """Send a request to the sidecar and wait for its response; see `Program`."""
        go, done = folder / "go", folder / "done"
        done.unlink(missing_ok=True)
        with dg.open_pipes_session(
            context=context, context_injector=_injector(folder), message_reader=_reader(folder)
        ) as session:
            go.touch()
            code = self._exit_code(go, done)
            if code:
                raise DagsterPipesExecutionError(
                    f"{FLYER.name} exited with code {code} in the sidecar container `flyer` of "
                    "this step's pod. See the log of that container."
                )
        return dg.PipesClientCompletedInvocation(session)

    def _exit_code(self, go: Path, done: Path) -> int:
        end = time.monotonic() + self.timeout_seconds
        while not done.exists():
            if time.monotonic() > end:
                go.unlink(missing_ok=True)
                raise DagsterPipesExecutionError(
                    f"{FLYER.name} did not respond in {self.shared} within "
                    f"{self.timeout_seconds:.0f} s. It runs in the sidecar container `flyer` of "
                    "this step's pod, from the image in GROCER_FLYER_IMAGE. Check that container."
                )
            time.sleep(0.1)
        return int(done.read_text())


def sidecar_tags(image: str | None) -> dict[str, Any]:
    """Return the op tag that adds the sidecar to a step's pod; empty without an image.

    It is a native sidecar: Kubernetes stops it when the step's own container has ended. https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    if not image:
        return {}
    mount = {"name": "shared", "mount_path": SHARED_FOLDER}
    sidecar = {
        "name": "flyer",
        "image": image,
        "command": ["sh", str(FLYER), "--serve", SHARED_FOLDER],
        "restart_policy": "Always",
        "volume_mounts": [mount],
        "resources": {"requests": SIDECAR_RESOURCES, "limits": SIDECAR_RESOURCES},
        "security_context": {
            "allow_privilege_escalation": False,
            "capabilities": {"drop": ["ALL"]},
            "read_only_root_filesystem": True,
        },
    }
    return {
        "dagster-k8s/config": {
            "container_config": {"volume_mounts": [mount]},
            "pod_spec_config": {
                "init_containers": [sidecar],
                "volumes": [{"name": "shared", "empty_dir": {}}],
            },
        }
    }


def _injector(folder: Path) -> dg.PipesContextInjector:
    return dg.PipesFileContextInjector(str(folder / "context"))


def _reader(folder: Path) -> dg.PipesMessageReader:
    return dg.PipesFileMessageReader(str(folder / "messages"))
