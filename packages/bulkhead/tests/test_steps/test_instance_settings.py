"""A step's pod mounts no `dagster.yaml`: its process writes it."""

import os
from pathlib import Path

import pytest

from bulkhead import names
from bulkhead.steps.worker import provide_instance_settings

SETTINGS = "telemetry: {enabled: false}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv(names.DAGSTER_HOME_ENV, str(home))
    monkeypatch.setenv(names.INSTANCE_SETTINGS_ENV, SETTINGS)
    return home


def provided() -> Path:
    return Path(os.environ[names.DAGSTER_HOME_ENV]) / names.INSTANCE_CONFIG_KEY


def test_the_settings_stand_in_dagster_home(home: Path) -> None:
    provide_instance_settings()
    assert provided() == home / names.INSTANCE_CONFIG_KEY
    assert provided().read_text() == SETTINGS


def test_where_dagster_home_is_not_there_another_is_made(home: Path) -> None:
    home.rmdir()
    provide_instance_settings()
    assert provided().parent != home
    assert provided().read_text() == SETTINGS


def test_children_of_the_process_do_not_inherit_the_text(home: Path) -> None:
    provide_instance_settings()
    assert names.INSTANCE_SETTINGS_ENV not in os.environ
    assert home.exists()


def test_settings_that_are_mounted_stay(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(names.INSTANCE_SETTINGS_ENV)
    (home / names.INSTANCE_CONFIG_KEY).write_text("mounted")
    provide_instance_settings()
    assert provided().read_text() == "mounted"
