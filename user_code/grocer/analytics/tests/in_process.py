"""dbt in the tests' own process, where it need not be loaded anew each time."""

import functools
import tempfile

from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from analytics import project
from analytics.environment import Environment


def dbt(environment: Environment, *arguments: str) -> None:
    """Run a command of dbt; what it says goes to standard output."""
    _invoke(dbtRunner(manifest=_parsed(environment)), environment, *arguments)


@functools.cache
def _parsed(environment: Environment) -> Manifest:
    parsed = _invoke(dbtRunner(), environment, "parse")
    assert isinstance(parsed.result, Manifest), parsed.exception
    return parsed.result


def _invoke(runner: dbtRunner, environment: Environment, *arguments: str) -> dbtRunnerResult:
    folder = str(project.PROJECT)
    with tempfile.TemporaryDirectory() as target:
        return runner.invoke(
            [
                *("--no-use-colors", "--log-level-file", "none", *arguments),
                *("--project-dir", folder, "--profiles-dir", folder),
                *("--target", environment, "--target-path", target),
            ]
        )
