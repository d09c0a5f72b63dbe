"""The run launcher of pods without a Kubernetes token: step pods, code servers, migrations."""

from collections.abc import Mapping
from typing import Any, NoReturn, cast

from dagster import Permissive

from bulkhead.dagster_compat import (
    ConfigurableClass,
    ConfigurableClassData,
    LaunchRunContext,
    ResumeRunContext,
    RunLauncher,
)


class TokenlessRunLauncher(RunLauncher, ConfigurableClass):
    """Reports the abilities of the platform's launcher, and refuses every request."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        """Keep `inst_data`, Dagster's description of where this launcher was configured."""
        self._inst_data = inst_data
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Return Dagster's description of where this launcher was configured."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> Permissive:
        """Accept any config. The launcher that launches runs checks it."""
        return cast("Any", Permissive)()

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003 - Dagster's interface
    ) -> "TokenlessRunLauncher":
        """Make the launcher from its part of `dagster.yaml`."""
        return cls(inst_data)

    @property
    def supports_resume_run(self) -> bool:
        """Return that runs can be resumed, as the platform's launcher does."""
        return True

    def launch_run(self, context: LaunchRunContext) -> None:
        """Refuse.

        Raises:
            RuntimeError: always.
        """
        _refuse("launch", context.dagster_run.run_id)

    def resume_run(self, context: ResumeRunContext) -> None:
        """Refuse.

        Raises:
            RuntimeError: always.
        """
        _refuse("resume", context.dagster_run.run_id)

    def terminate(self, run_id: str) -> bool:
        """Refuse.

        Raises:
            RuntimeError: always.
        """
        _refuse("terminate", run_id)


def _refuse(action: str, run_id: str) -> NoReturn:
    raise RuntimeError(
        f"This pod has no Kubernetes token, so it cannot {action} run {run_id}. The web server, "
        "the daemon and run pods can. In the code of a step or a sensor, use the GraphQL API of "
        "the web server."
    )
