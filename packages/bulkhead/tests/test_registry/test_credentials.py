"""Credentials come from variables or from docker's and podman's files, and appear in no text."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from bulkhead.registry import credentials
from bulkhead.registry.credentials import Credentials
from bulkhead.registry.errors import RegistryError

HOST = "registry.example.com:5000"
SECRET = "pass:word"  # a password may have a colon


def _auth(user: str = "team", password: str = SECRET) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def _write(home: dict[str, str], config: dict[str, Any] | str) -> Path:
    file = Path(home["HOME"]) / ".docker" / "config.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(config if isinstance(config, str) else json.dumps(config))
    return file


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential helper `docker-credential-test`, which answers what its file `answer` has."""
    program = tmp_path / "bin" / "docker-credential-test"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncat > {tmp_path}/asked\ncat {tmp_path}/answer\nexit "$(cat {tmp_path}/code)"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    (tmp_path / "code").write_text("0")
    return tmp_path


def test_variables_come_before_files(home: dict[str, str]) -> None:
    _write(home, {"auths": {HOST: {"auth": _auth()}}})
    variables = {"BULKHEAD_REGISTRY_USERNAME": "ci", "BULKHEAD_REGISTRY_PASSWORD": "token"}
    assert credentials.find(HOST, {**home, **variables}) == Credentials("ci", "token")
    assert credentials.find(HOST, home) == Credentials("team", SECRET)


def test_one_variable_without_the_other_is_an_error(home: dict[str, str]) -> None:
    with pytest.raises(RegistryError, match="BULKHEAD_REGISTRY_PASSWORD is not set"):
        credentials.find(HOST, {**home, "BULKHEAD_REGISTRY_USERNAME": "ci"})


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v2/"])
def test_the_key_of_an_entry_may_be_a_url(home: dict[str, str], key: str) -> None:
    _write(home, {"auths": {"other": {"auth": _auth("x")}, key: {"auth": _auth()}}})
    assert credentials.find(HOST, home) == Credentials("team", SECRET)


def test_docker_hub_has_a_key_of_its_own(home: dict[str, str]) -> None:
    _write(home, {"auths": {"https://index.docker.io/v1/": {"auth": _auth()}}})
    assert credentials.find("docker.io", home) == Credentials("team", SECRET)


def test_without_files_or_entries_there_are_none(home: dict[str, str]) -> None:
    assert credentials.find(HOST, home) is None
    _write(home, {"auths": {HOST: {}, "other": {"auth": _auth()}}})
    assert credentials.find(HOST, home) is None


def test_a_login_of_podman_is_found(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "containers" / "auth.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"auths": {HOST: {"auth": _auth()}}}))
    found = Credentials("team", SECRET)
    assert credentials.find(HOST, {**home, "XDG_RUNTIME_DIR": str(tmp_path)}) == found
    assert credentials.find(HOST, {**home, "REGISTRY_AUTH_FILE": str(file)}) == found


@pytest.mark.parametrize("config", [{"credsStore": "test"}, {"credHelpers": {HOST: "test"}}])
def test_a_credential_helper_answers_for_the_host(
    home: dict[str, str], helper: Path, config: dict[str, Any]
) -> None:
    (helper / "answer").write_text(json.dumps({"Username": "team", "Secret": SECRET}))
    _write(home, {**config, "auths": {HOST: {}}})
    assert credentials.find(HOST, home) == Credentials("team", SECRET)
    assert (helper / "asked").read_text() == HOST


def test_a_store_without_an_entry_is_not_an_error(home: dict[str, str], helper: Path) -> None:
    (helper / "answer").write_text("credentials not found in native keychain\n")
    (helper / "code").write_text("1")
    _write(home, {"credsStore": "test"})
    assert credentials.find(HOST, home) is None


def test_a_helper_that_fails_or_is_missing_is_an_error(home: dict[str, str], helper: Path) -> None:
    (helper / "answer").write_text("the keychain is locked\n")
    (helper / "code").write_text("1")
    _write(home, {"credsStore": "test"})
    with pytest.raises(RegistryError, match="the keychain is locked"):
        credentials.find(HOST, home)
    _write(home, {"credsStore": "missing"})
    with pytest.raises(RegistryError, match=r"docker-credential-missing .* not installed"):
        credentials.find(HOST, home)


def test_an_identity_token_is_refused_with_what_to_set(home: dict[str, str], helper: Path) -> None:
    (helper / "answer").write_text(json.dumps({"Username": "<token>", "Secret": SECRET}))
    for config in (
        {"credsStore": "test"},
        {"auths": {HOST: {"auth": _auth(), "identitytoken": SECRET}}},
    ):
        _write(home, config)
        with pytest.raises(RegistryError, match="BULKHEAD_REGISTRY_USERNAME") as raised:
            credentials.find(HOST, home)
        assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "config",
    [
        f"{{'auths': {SECRET}",
        json.dumps([SECRET]),
        json.dumps({"auths": {HOST: {"auth": f"{SECRET}!"}}}),
    ],
)
def test_an_invalid_file_is_an_error_that_does_not_quote_it(
    home: dict[str, str], config: str
) -> None:
    _write(home, config)
    with pytest.raises(RegistryError, match=r"log in again|docker login") as raised:
        credentials.find(HOST, home)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_password_is_in_no_text() -> None:
    assert SECRET not in f"{Credentials('team', SECRET)} {Credentials('team', SECRET)!r}"


def test_a_written_configuration_has_the_login_and_links_to_the_rest(
    home: dict[str, str], tmp_path: Path
) -> None:
    original = _write(
        home,
        {
            "auths": {"other": {"auth": _auth("x")}},
            "credsStore": "test",
            "credHelpers": {HOST: "test", "gcr.io": "gcloud"},
            "currentContext": "remote",
        },
    )
    before = original.read_text()
    (original.parent / "contexts").mkdir()
    folder = tmp_path / "written"
    folder.mkdir()
    credentials.write_docker_config(folder, HOST, Credentials("ci", "token"), home)
    written = json.loads((folder / "config.json").read_text())
    assert written == {
        "auths": {"other": {"auth": _auth("x")}, HOST: {"auth": _auth("ci", "token")}},
        "credHelpers": {"gcr.io": "gcloud"},
        "currentContext": "remote",
    }
    assert (folder / "contexts").resolve() == original.parent / "contexts"
    assert original.read_text() == before
    used = credentials.find(HOST, {"DOCKER_CONFIG": str(folder), **home})
    assert used == Credentials("ci", "token")
