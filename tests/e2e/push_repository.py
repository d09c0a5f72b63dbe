"""A repository of two code locations that a test pushes, with git, to the cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster import BUILD, KUBECONFIG, ROOT

PUSHED = "pushed"
"""The code location that the tests change."""

DEPENDENT = "dependent"
"""Another one of the same repository; its asset depends on one of PUSHED."""

LOCK = ROOT / "user_code" / "hello" / "requirements.lock"
HOOKS = BUILD / "git" / "cluster.git" / "hooks"
"""The hooks that `make up` wrote: they have the addresses of the cluster."""

CLUSTER_SETTINGS = BUILD / "git" / "settings.toml"
BULKHEAD = Path(sys.executable).with_name("bulkhead")

DEFINITIONS = """
import time

import dagster as dg

VERSION = "{version}"


@dg.asset(description=VERSION)
def orders():
    return VERSION


@dg.asset
def weekly_orders(orders):
    return orders


@dg.asset(partitions_def=dg.StaticPartitionsDefinition([f"part-{{n:02}}" for n in range(30)]))
def parts(context: dg.AssetExecutionContext):
    context.log.info(f"{{context.partition_key}} {{VERSION}}")


@dg.op
def sleep():
    time.sleep(20)


@dg.job
def sleepy():
    sleep()


defs = dg.Definitions(
    assets=[orders, weekly_orders, parts], jobs=[sleepy], executor=dg.in_process_executor
)
"""

OTHER_DEFINITIONS = """
import dagster as dg


@dg.asset(deps=["weekly_orders"])
def report():
    pass


defs = dg.Definitions(assets=[report])
"""

PROJECT = """
[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.11,<3.12"
dependencies = ["dagster"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["src/{name}"]
"""

VALUES = """
definitions:
  module: {name}.definitions
codeServer:
  resources:
    requests: {{cpu: 50m, memory: 256Mi}}
    limits: {{cpu: "1", memory: 512Mi}}
"""

SETTINGS = """
[deploy]
locations = ["locations/*"]
chart = "chart"
load-seconds = 40
live-seconds = 120
"""


@dataclass(frozen=True)
class Push:
    """What a `git push` printed, without git's `remote: `, and how long it took."""

    code: int
    output: str
    seconds: float

    def lines(self, location: str) -> list[str]:
        """The lines about a code location."""
        return [line for line in self.output.splitlines() if line.startswith(f"{location} ")]


class PushRepository:
    """A clone with the remote `cluster`, a bare repository with the hooks of `make up`."""

    def __init__(self, folder: Path) -> None:
        """Create both; nothing is pushed yet."""
        self.clone = folder / "clone"
        self.bare = folder / "cluster.git"
        self._commits = 0
        shutil.rmtree(folder, ignore_errors=True)
        self.clone.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Test Person")
        self.git("config", "user.email", "test@example.com")
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        shutil.copytree(HOOKS, self.bare / "hooks", dirs_exist_ok=True)
        self.git("remote", "add", "cluster", str(self.bare))
        shutil.copytree(ROOT / "charts" / "code-location", self.clone / "chart")
        self.write("bulkhead.toml", SETTINGS)
        for name, definitions in ((PUSHED, ""), (DEPENDENT, OTHER_DEFINITIONS)):
            place = f"locations/{name}"
            self.write(f"{place}/pyproject.toml", PROJECT.format(name=name))
            self.write(f"{place}/values.yaml", VALUES.format(name=name))
            self.write(f"{place}/src/{name}/__init__.py", "")
            self.write(f"{place}/src/{name}/definitions.py", definitions)
            self.write(f"{place}/requirements.lock", LOCK.read_text())
        self.good("first")

    def git(self, *arguments: str) -> str:
        """Run git in the clone and return its output."""
        done = subprocess.run(
            ["git", "-C", str(self.clone), *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file of the clone."""
        file = self.clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def good(self, version: str) -> str:
        """Give PUSHED code that loads, with a version in it; return that code."""
        code = DEFINITIONS.format(version=version)
        self.code(code)
        return code

    def code(self, text: str) -> None:
        """Write the definitions of PUSHED."""
        self.write(f"locations/{PUSHED}/src/{PUSHED}/definitions.py", text)

    def commit(self) -> str:
        """Commit everything, and return the commit."""
        self._commits += 1
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"change {self._commits}")
        return self.git("rev-parse", "HEAD")

    def start_push(self) -> subprocess.Popen[str]:
        """Start to push `main`; the output is one stream."""
        return subprocess.Popen(
            ["git", "-C", str(self.clone), "push", "cluster", "main"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            start_new_session=True,
        )

    def bulkhead(self, *arguments: str) -> str:
        """Run `bulkhead` in the clone with the settings of the cluster, and return its output."""
        process = self.start_bulkhead(*arguments)
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
        return output

    def start_bulkhead(
        self, *arguments: str, kubeconfig: Path = KUBECONFIG
    ) -> subprocess.Popen[str]:
        """Start `bulkhead` in the clone with the settings of the cluster; one stream of output."""
        place = ("--directory", str(self.clone), "--settings", str(CLUSTER_SETTINGS))
        path = f"{ROOT / '.tools'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [str(BULKHEAD), *arguments, *place],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": path},
        )

    def push(self, timeout: float = 240) -> Push:
        """Commit and push everything; return when the push has ended."""
        self.commit()
        started = time.monotonic()
        process = self.start_push()
        output, _ = process.communicate(timeout=timeout)
        seconds = time.monotonic() - started
        return Push(process.returncode, without_prefix(output), seconds)


def without_prefix(output: str) -> str:
    """Return what the hook printed: git's prefix and padding are removed."""
    lines = output.replace("\r", "\n").splitlines()
    return "\n".join(line.removeprefix("remote: ").rstrip() for line in lines)
