"""dbt in the tests' process, which saves its import for each command."""

import functools
import tempfile

from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from analytics import project
from analytics.environment import Environment


def dbt(environment: Environment, *arguments: str) -> dbtRunnerResult:
    """Run a command of dbt; its messages go to standard output."""
    return _invoke(dbtRunner(manifest=_parsed(environment)), environment, *arguments)


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
