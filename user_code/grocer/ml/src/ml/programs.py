"""How the flyer's program is started: by the step itself, or in a container beside the step's.

Either way it works in a folder, and tells Dagster there, by the Pipes protocol, what became of it.
A step's pod has no Kubernetes token, so a step can't start a pod for its program: the neighbour
is part of the step's own pod, from its beginning to its end.
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
"""Where both containers of the step's pod see the same folder."""

NEIGHBOUR_RESOURCES = {"cpu": "50m", "memory": "32Mi"}
"""Shell, awk and sort take 2 MiB each."""


class Program(dg.ConfigurableResource, ABC):
    """A program that is no Python, and how it is started."""

    @abstractmethod
    def folder(self) -> Any:  # noqa: ANN401 - a context manager that gives a Path
        """Give the folder in which the program works."""

    @abstractmethod
    def run(
        self, context: dg.AssetExecutionContext, folder: Path
    ) -> dg.PipesClientCompletedInvocation:
        """Run the program on what lies in the folder; return what it told.

        Raises:
            DagsterPipesExecutionError: it failed.
        """


class Subprocess(Program):
    """The step starts the program itself."""

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a new folder, for this one time."""
        with TemporaryDirectory(prefix="flyer-") as folder:
            yield Path(folder)

    def run(
        self, context: dg.AssetExecutionContext, folder: Path
    ) -> dg.PipesClientCompletedInvocation:
        """Start the program and wait for its end; see `Program`."""
        client = dg.PipesSubprocessClient(
            context_injector=_injector(folder), message_reader=_reader(folder)
        )
        return client.run(context=context, command=["sh", str(FLYER), str(folder)])


class Neighbour(Program):
    """The program waits in a container of its own, in the step's pod, and is asked by files."""

    shared: str = SHARED_FOLDER
    patience_seconds: float = 120.0

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give the folder that both containers see."""
        yield Path(self.shared)

    def run(
        self, context: dg.AssetExecutionContext, folder: Path
    ) -> dg.PipesClientCompletedInvocation:
        """Ask the neighbour and wait for its answer; see `Program`."""
        go, done = folder / "go", folder / "done"
        done.unlink(missing_ok=True)
        with dg.open_pipes_session(
            context=context, context_injector=_injector(folder), message_reader=_reader(folder)
        ) as session:
            go.touch()
            code = self._answer(go, done)
            if code:
                raise DagsterPipesExecutionError(
                    f"{FLYER.name} ended with exit code {code} in the container beside this "
                    "step's; what it printed is in that container's log."
                )
        return dg.PipesClientCompletedInvocation(session)

    def _answer(self, go: Path, done: Path) -> int:
        end = time.monotonic() + self.patience_seconds
        while not done.exists():
            if time.monotonic() > end:
                go.unlink(missing_ok=True)
                raise DagsterPipesExecutionError(
                    f"{FLYER.name} has not answered in {self.shared} for "
                    f"{self.patience_seconds:.0f} s. It runs in the container `flyer` beside this "
                    "step's, of the image that GROCER_FLYER_IMAGE names: look at that container."
                )
            time.sleep(0.1)
        return int(done.read_text())


def neighbour_tags(image: str | None) -> dict[str, Any]:
    """Return the op tag that puts the neighbour into a step's pod; none where there is no image.

    It is a native sidecar: Kubernetes ends it when the step's own container has ended, however
    that went. https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
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
        "resources": {"requests": NEIGHBOUR_RESOURCES, "limits": NEIGHBOUR_RESOURCES},
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
