"""What `bulkhead deploy` deploys and where to: `bulkhead.toml`, a second file, and options."""

import sys
from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = "bulkhead.toml"
"""The settings of a repository, in its root folder."""

BASE_IMAGE: Final = (
    "docker.io/library/python@"
    "sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b"
)
"""python:3.11.16-slim-bookworm for every processor, as several public projects pin it (2026-10)."""


class SettingsError(Exception):
    """A setting is missing or invalid; `str()` names the file, the setting and its value."""


class Settings(BaseModel):
    """The settings of one deploy. In files, the words of a name are joined with dashes."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
    )

    locations: tuple[str, ...] = ("user_code/*",)
    """Patterns of folders, from the root. Those that have a `pyproject.toml` are code locations."""

    chart: str = "charts/code-location"
    """The chart: a folder of the repository, or `oci://…`."""

    chart_version: str | None = None
    """The version of a chart that is not a folder."""

    library: str | None = None
    """The folder with the source of `bulkhead`. Without it, the installed version is used."""

    base_image: str = BASE_IMAGE
    """An image with Python 3.11; a new one rebuilds every code location."""

    registry: str = Field(default="", pattern=r"^$|^[^/@\s]+(/[^@\s]+)?$")
    """Where pods pull from: host and optional path, for example `registry.example.com/data`."""

    push_to: str | None = None
    """Where this machine pushes to, if that is another address of the same registry."""

    plain_http: bool = False
    """Push over HTTP without TLS. A registry on this machine (127.0.0.1) is always used so."""

    context: str | None = None
    """Context of the kubeconfig. By default the current one."""

    namespace: str = Field(default="bulkhead-{location}", pattern=r"^[^{}]*(\{location\}[^{}]*)?$")
    """Namespace of a location, as the platform admin registered it."""

    values: tuple[str, ...] = ("values.yaml",)
    """Values files in each location's folder. A later one takes precedence; one may be missing."""

    branch: str = "main"
    """The branch that is deployed when it is pushed."""

    engine: str | None = Field(default=None, pattern="^(docker|podman|buildctl)$")
    """Builds images of packages. By default the first that is installed."""

    build_options: tuple[str, ...] = ()
    """Further options of the engine's build command, for example `--secret=…`."""

    load_seconds: float = Field(default=180, gt=0, le=3600)
    """Time limit of the load check, from the first request to the end of its process."""

    live_seconds: float = Field(default=300, gt=0, le=3600)
    """Time limit from the release until the Dagster UI shows the new image."""

    strict: bool = False
    """Warnings of the load check stop the deploy."""

    @property
    def has_own_chart(self) -> bool:
        """Whether the chart is a folder of the repository."""
        return not self.chart.startswith("oci://")

    @property
    def push_prefix(self) -> str:
        """The address that this machine pushes to."""
        return self.push_to or self.registry


def read(
    files: Mapping[str, str],
    *,
    environment: str | None = None,
    options: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings of a deploy.

    Later sources take precedence: in each file the table `[deploy]`, then
    `[environments.<environment>]`; then `options`.

    Args:
        files: The text of each settings file, by the name that messages show.
        environment: The name of an environment; it must be in one of the files.
        options: Settings by their Python name; None leaves a setting as it is.

    Raises:
        SettingsError: A file is not valid, or a setting is unknown or invalid.
    """
    found: dict[str, object] = {}
    environments: set[str] = set()
    for name, text in files.items():
        tables = _tables(name, text)
        found |= tables.deploy
        environments |= tables.environments.keys()
        if environment:
            found |= tables.environments.get(environment, {})
    if environment and environment not in environments:
        known = ", ".join(sorted(environments)) or "none"
        raise SettingsError(
            f"There is no environment {environment!r}. {FILE} has: {known}. Add a table "
            f"[environments.{environment}], or name one of these."
        )
    given = {key.replace("_", "-"): value for key, value in (options or {}).items()}
    found |= {key: value for key, value in given.items() if value is not None}
    try:
        settings = Settings.model_validate(found)
    except ValidationError as error:
        raise SettingsError(_message(error, " and ".join(files))) from error
    if not settings.registry:
        raise SettingsError(
            f"The registry is not set. Set `registry` in {FILE} to the address that pods pull "
            "from, for example registry.example.com/data."
        )
    return settings


def environments(files: Mapping[str, str]) -> list[str]:
    """Return the names of the environments of settings files, sorted; `read` takes the same files.

    Raises:
        SettingsError: A file is not valid.
    """
    return sorted(
        {each for name, text in files.items() for each in _tables(name, text).environments}
    )


class _Tables(BaseModel):
    """The tables of a settings file; their content is checked when they are merged."""

    model_config = ConfigDict(extra="forbid")

    deploy: dict[str, Any] = Field(default_factory=dict[str, Any])
    environments: dict[str, dict[str, Any]] = Field(default_factory=dict[str, dict[str, Any]])


def _tables(name: str, text: str) -> _Tables:
    try:
        return _Tables.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name} is not valid TOML: {error}.") from error
    except ValidationError as error:
        raise SettingsError(_message(error, name)) from error


def _message(error: ValidationError, where: str) -> str:
    """Return the first problem as a sentence."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(each) for each in first["loc"])
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(cast("str", field.alias) for field in Settings.model_fields.values())
        return f"{where or 'An option'}: {name} is not a setting. Allowed are: {allowed}."
    value = first["input"]
    return f"{where or 'An option'}: {name} is {value!r}, which is not valid: {first['msg']}."
