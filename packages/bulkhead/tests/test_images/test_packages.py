"""The image with the packages: what engines are given, and what their failures say."""

import json
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from packages.bulkhead.tests.test_images.conftest import BASE_IMAGE, Engine, Location

from bulkhead.images import engine as engines, packages
from bulkhead.images.errors import ImageError
from bulkhead.registry.reference import Reference

IMAGE = Reference("127.0.0.1:5001", "bulkhead/sales", "lock-1")


def _build(location: Location, name: str | None = None, options: Sequence[str] = ()) -> None:
    packages.build_and_push(
        location.folder / "requirements.lock",
        BASE_IMAGE,
        IMAGE,
        plain_http=True,
        named=name,
        options=options,
    )


def _calls(record: Path) -> list[list[str]]:
    """The commands without the folder of the program."""
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    return [[Path(program).name, *arguments] for program, *arguments in lines]


def test_podman_builds_with_the_options_and_pushes_without_tls(
    location: Location, engine: Engine
) -> None:
    record = engine("podman", "")
    secret = "--secret=id=uv.toml,src=/tmp/uv.toml"
    _build(location, "podman", [secret, "--network=host"])
    build, push = _calls(record)
    assert build[:4] == [
        "podman",
        "build",
        f"--tag={IMAGE}",
        f"--build-arg=BASE_IMAGE={BASE_IMAGE}",
    ]
    assert build[4:6] == [secret, "--network=host"]
    assert push == ["podman", "push", "--tls-verify=false", str(IMAGE)]


def test_docker_builds_with_buildkit(location: Location, engine: Engine, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    record = engine("docker", f"Path({str(seen)!r}).write_text(os.environ['DOCKER_BUILDKIT'])")
    _build(location, "docker")
    build, push = _calls(record)
    assert build[:3] == ["docker", "build", "--progress=plain"]
    assert push == ["docker", "push", str(IMAGE)]
    assert seen.read_text() == "1"


def test_buildctl_builds_and_pushes_at_once(location: Location, engine: Engine) -> None:
    record = engine("buildctl", "")
    _build(location, "buildctl", ["--secret=id=ca.crt,src=/tmp/ca.crt"])
    ((_, *arguments),) = _calls(record)
    assert f"--output=type=image,name={IMAGE},push=true,registry.insecure=true" in arguments
    assert f"--opt=build-arg:BASE_IMAGE={BASE_IMAGE}" in arguments
    assert arguments[-1] == "--secret=id=ca.crt,src=/tmp/ca.crt"


def test_the_context_has_what_the_dockerfile_copies_and_nothing_else(
    location: Location, engine: Engine, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    engine(
        "podman",
        f"""
if sys.argv[1] == "build":
    context = Path(sys.argv[-1])
    files = [file for file in context.rglob("*") if file.is_file()]
    content = {{str(file.relative_to(context)): file.read_text() for file in files}}
    Path({str(seen)!r}).write_text(json.dumps(content))
""",
    )
    _build(location, "podman")
    files: dict[str, str] = json.loads(seen.read_text())
    assert sorted(files) == [
        "Dockerfile",
        "installer/install.py",
        "installer/requirements.lock",
        "requirements.lock",
    ]
    assert files["requirements.lock"] == (location.folder / "requirements.lock").read_text()
    copied = re.findall(r"^COPY (\S+)", files["Dockerfile"], re.MULTILINE)
    assert copied == ["installer", "requirements.lock"]


def test_a_lock_that_cannot_be_installed_shows_the_last_lines(
    location: Location, engine: Engine
) -> None:
    engine("podman", "for n in range(100): print('line', n, file=sys.stderr)\nsys.exit(3)")
    with pytest.raises(ImageError, match="podman exited with code 3") as raised:
        _build(location, "podman")
    assert str(IMAGE) in str(raised.value)
    lines = raised.value.output.splitlines()
    assert (lines[0], lines[-1]) == ("line 70", "line 99")


def test_a_missing_lock_is_an_error_with_what_to_do(location: Location, engine: Engine) -> None:
    engine("podman", "")
    (location.folder / "requirements.lock").unlink()
    with pytest.raises(ImageError, match=r"requirements\.lock of the code location cannot be read"):
        _build(location, "podman")


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ({"docker": 0, "podman": 0, "buildctl": 0}, "docker"),
        # Docker is installed, but its daemon does not run.
        ({"docker": 1, "podman": 0}, "podman"),
        ({"podman": 0, "buildctl": 0}, "podman"),
        ({"docker": 1, "buildctl": 0}, "buildctl"),
    ],
)
def test_the_first_engine_that_works_is_used(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, installed: dict[str, int], expected: str
) -> None:
    for name, code in installed.items():
        record = engine(name, f"sys.exit({code})")
        monkeypatch.setenv("PATH", str(record.parent / "engines"))
    assert engines.find() == expected


def test_without_an_engine_the_error_says_when_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match=r"a changed requirements\.lock needs one: docker, podman"):
        engines.find()
    with pytest.raises(ImageError, match=r"'nerdctl' is not a known container engine\. Use one of"):
        engines.find("nerdctl")


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_credentials_of_variables_reach_the_engine_but_no_command_line(
    location: Location,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv("BULKHEAD_REGISTRY_USERNAME", "ci")
    monkeypatch.setenv("BULKHEAD_REGISTRY_PASSWORD", "correct horse")
    seen = tmp_path / "seen"
    record = engine(
        name,
        f"""
if sys.argv[1] == "push":
    folder = Path(os.environ["DOCKER_CONFIG"])
    config = json.loads((folder / "config.json").read_text())
    Path({str(seen)!r}).write_text(json.dumps([os.stat(folder).st_mode, config]))
""",
    )
    _build(location, name)
    mode, config = json.loads(seen.read_text())
    assert stat.S_IMODE(mode) == 0o700
    assert list(config["auths"]) == [IMAGE.host]
    assert "correct" not in record.read_text()
    *_, push = _calls(record)
    assert any(part.startswith("--authfile=") for part in push) is (name == "podman")
    assert "DOCKER_CONFIG" not in os.environ
