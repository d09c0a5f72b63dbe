"""Docker first, then podman, then podman from apt; settings only if a host needs them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bulkhead_kind import engine, host, process
from bulkhead_kind.engine import Engine, EngineError
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress

Given = Callable[..., None]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Given:
    def set_up(programs: set[str], *, daemon: bool = False, sandbox: bool = False) -> None:
        def which(name: str) -> str | None:
            return f"/usr/bin/{name}" if name in programs else None

        def succeeds(*_: object, **__: object) -> bool:
            return daemon

        monkeypatch.setattr("shutil.which", which)
        monkeypatch.setattr(process, "succeeds", succeeds)
        monkeypatch.setattr(host, "has_cgroup_v1", lambda: sandbox)
        monkeypatch.setattr(host, "lacks_sys_resource", lambda: sandbox)
        monkeypatch.setattr(host, "is_root", lambda: False)
        monkeypatch.setattr(engine, "BUILD", tmp_path)

    return set_up


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "logs")


def test_docker_comes_first_where_its_daemon_works(given: Given, progress: Progress) -> None:
    given({"docker", "podman"}, daemon=True)
    assert engine.find(progress) == Engine("docker")


def test_a_docker_client_without_daemon_does_not_count(given: Given, progress: Progress) -> None:
    given({"docker", "podman"}, daemon=False)
    assert engine.find(progress).name == "podman"


def test_podman_on_an_ordinary_host_gets_no_settings(given: Given, progress: Progress) -> None:
    given({"podman"})
    assert engine.find(progress).environment == {"KIND_EXPERIMENTAL_PROVIDER": "podman"}


def test_podman_in_a_sandbox_gets_settings_of_its_own(given: Given, progress: Progress) -> None:
    given({"podman"}, sandbox=True)
    settings = Path(engine.find(progress).environment["CONTAINERS_CONF"]).read_text()
    assert 'runtime = "runc"' in settings
    assert 'cgroup_manager = "cgroupfs"' in settings
    assert "nofile=" in settings


def test_without_any_engine_one_sentence_says_what_to_install(
    given: Given, progress: Progress
) -> None:
    given(set())
    with pytest.raises(EngineError, match="install podman"):
        engine.find(progress)


def test_a_registry_that_does_not_answer_is_named_by_its_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise CommandError("`podman manifest …` exited with code 125: Error: lookup: no such host")

    monkeypatch.setattr(process, "output", refuse)
    assert Engine("podman").registry_has("registry.test/image@sha256:1") == "no such host"
