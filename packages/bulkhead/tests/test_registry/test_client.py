"""The client against the distribution registry itself."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from packages.bulkhead.tests.registry_server import HTPASSWD, PASSWORD, USER, RegistryServer
from packages.bulkhead.tests.small_image import blob, pushed
from packages.bulkhead.tests.token_server import SERVICE, Certificate, TokenServer
from packages.bulkhead.tests.waiting import wait_until

from bulkhead.registry.client import Registry
from bulkhead.registry.credentials import Credentials
from bulkhead.registry.errors import RegistryError
from bulkhead.registry.manifests import DOCKER, OCI, Format


def test_a_blob_is_missing_and_after_the_push_it_is_there(
    registry: Registry, repository: str, tmp_path: Path
) -> None:
    file, digest = blob(tmp_path, b"content")
    assert not registry.has_blob(repository, digest)
    assert registry.push_blob(repository, file) == digest
    assert registry.has_blob(repository, digest)
    assert registry.push_blob(repository, file) == digest


@pytest.mark.parametrize("format", [OCI, DOCKER], ids=["oci", "docker"])
def test_an_image_is_read_as_it_was_pushed(
    registry: Registry,
    repository: str,
    tmp_path: Path,
    format: Format,  # noqa: A002
) -> None:
    digest = pushed(registry, repository, tmp_path, "a", "b", format=format)
    assert registry.digest(repository, "a") == registry.digest(repository, "b") == digest
    assert registry.digest(repository, digest) == digest
    assert registry.tags(repository) == ["a", "b"]
    image = registry.image(repository, "a")
    assert image is not None
    assert (image.digest, image.format, len(image.layers)) == (digest, format, 1)
    assert image.labels == {"name": "one"}
    assert image.created == 1764327751
    assert registry.image(repository, digest) == image


def test_what_does_not_exist_is_none(registry: Registry, repository: str, tmp_path: Path) -> None:
    assert registry.digest(repository, "a") is None
    assert registry.image(repository, "a") is None
    assert registry.tags(repository) == []
    pushed(registry, repository, tmp_path, "a")
    assert registry.digest(repository, "b") is None
    assert registry.image(repository, f"sha256:{'0' * 64}") is None


def test_all_pages_of_tags_are_read(registry: Registry, repository: str, tmp_path: Path) -> None:
    names = [f"tag-{number:03}" for number in range(130)]
    pushed(registry, repository, tmp_path, *names)
    assert registry.tags(repository) == names


def _push_list(server: RegistryServer, repository: str, entries: list[dict[str, object]]) -> None:
    kind = "application/vnd.oci.image.index.v1+json"
    body = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    request = urllib.request.Request(
        f"http://{server.host}/v2/{repository}/manifests/list",
        data=json.dumps(body).encode(),
        headers={"Content-Type": kind},
        method="PUT",
    )
    with urllib.request.urlopen(request):
        pass


def test_the_wanted_platform_is_chosen_from_a_list(
    registry: Registry, repository: str, tmp_path: Path, image_registry: RegistryServer
) -> None:
    digests = {
        each: pushed(registry, repository, tmp_path, each, name=each, architecture=each)
        for each in ("amd64", "arm64", "unknown")
    }
    entries: list[dict[str, object]] = [
        {
            "mediaType": OCI.manifest,
            "digest": digest,
            "size": 1,
            # The last is as BuildKit adds its attestations.
            "platform": {"os": "unknown" if each == "unknown" else "linux", "architecture": each},
        }
        for each, digest in digests.items()
    ]
    _push_list(image_registry, repository, entries)
    for wanted, expected in ((None, "amd64"), ("amd64", "amd64"), ("arm64", "arm64")):
        image = registry.image(repository, "list", wanted)
        assert image is not None
        assert image.digest == digests[expected]
    with pytest.raises(RegistryError, match="no variant for linux/s390x, only for linux/amd64, "):
        registry.image(repository, "list", "s390x")
    _push_list(image_registry, repository, entries[1:])
    only = registry.image(repository, "list")
    assert only is not None
    assert only.digest == digests["arm64"]


def test_a_deletion_removes_the_tags_and_a_second_one_does_nothing(
    registry: Registry, repository: str, tmp_path: Path
) -> None:
    digest = pushed(registry, repository, tmp_path, "a", "b")
    other = pushed(registry, repository, tmp_path, "c", name="two")
    registry.delete(repository, digest)
    registry.delete(repository, digest)
    assert registry.tags(repository) == ["c"]
    assert registry.digest(repository, digest) is None
    assert registry.digest(repository, other) == other


def test_a_registry_without_deletion_says_what_to_enable(
    registry_program: Path, tmp_path: Path
) -> None:
    content = {"filesystem": {"rootdirectory": str(tmp_path / "content")}}
    server = RegistryServer(registry_program, tmp_path, {"storage": content})
    registry = Registry(server.host, plain_http=True, credentials=None, timeout=10)
    try:
        digest = pushed(registry, "sales", tmp_path, "a")
        with pytest.raises(
            RegistryError, match=r"405 .* enable deletion in the registry"
        ) as raised:
            registry.delete("sales", digest)
    finally:
        server.stop()
    assert not raised.value.is_temporary


@pytest.fixture(scope="module")
def with_users(
    registry_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("registry-with-users")
    (folder / "htpasswd").write_text(HTPASSWD)
    users = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    server = RegistryServer(registry_program, folder, {"auth": users})
    yield server
    server.stop()


def test_a_user_and_a_password_are_sent_when_they_are_requested(
    with_users: RegistryServer, repository: str, tmp_path: Path
) -> None:
    user = Credentials(USER, PASSWORD)
    registry = Registry(with_users.host, plain_http=True, credentials=user, timeout=10)
    digest = pushed(registry, repository, tmp_path, "a")
    assert registry.digest(repository, "a") == digest


def test_wrong_or_missing_credentials_are_a_permanent_error_without_the_password(
    with_users: RegistryServer, repository: str
) -> None:
    wrong = Credentials(USER, "wrong horse")
    started = time.monotonic()
    with pytest.raises(RegistryError, match=f"rejected user {USER}") as raised:
        Registry(with_users.host, plain_http=True, credentials=wrong).tags(repository)
    with pytest.raises(RegistryError, match=r"none are configured. Run `docker login ") as missing:
        Registry(with_users.host, plain_http=True, credentials=None).tags(repository)
    assert not raised.value.is_temporary
    assert not missing.value.is_temporary
    assert time.monotonic() - started < 5
    chain = raised.value
    assert "wrong horse" not in f"{chain} {chain.__cause__}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def tokens(certificate: Certificate) -> Iterator[TokenServer]:
    server = TokenServer(certificate, USER, PASSWORD)
    yield server
    server.server.shutdown()


@pytest.fixture(scope="module")
def with_tokens(
    registry_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
    certificate: Certificate,
    tokens: TokenServer,
) -> Iterator[RegistryServer]:
    settings = {
        "http": {
            "tls": {"certificate": str(certificate.file), "key": str(certificate.key_file)},
        },
        "auth": {
            "token": {
                "realm": tokens.realm,
                "service": SERVICE,
                "issuer": "test",
                "rootcertbundle": str(certificate.file),
            }
        },
    }
    folder = tmp_path_factory.mktemp("registry-with-tokens")
    server = RegistryServer(registry_program, folder, settings)
    yield server
    server.stop()


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.file))


@pytest.mark.usefixtures("trusted")
def test_a_token_is_requested_for_each_right(
    with_tokens: RegistryServer, tokens: TokenServer, repository: str, tmp_path: Path
) -> None:
    user = Credentials(USER, PASSWORD)
    registry = Registry(with_tokens.host, plain_http=False, credentials=user, timeout=10)
    assert registry.digest(repository, "a") is None
    digest = pushed(registry, repository, tmp_path, "a")
    assert registry.digest(repository, "a") == digest
    registry.delete(repository, digest)
    assert f"repository:{repository}:pull" in tokens.scopes
    assert any("push" in scope for scope in tokens.scopes)
    assert f"repository:{repository}:delete" in tokens.scopes


@pytest.mark.usefixtures("trusted")
def test_a_user_without_the_right_is_refused(with_tokens: RegistryServer, repository: str) -> None:
    for user, message in (
        (None, "none are configured"),
        (Credentials(USER, "wrong horse"), f"rejected user {USER}"),
    ):
        registry = Registry(with_tokens.host, plain_http=False, credentials=user, timeout=10)
        with pytest.raises(RegistryError, match=message) as raised:
            registry.digest(repository, "a")
        assert not raised.value.is_temporary


def test_an_unknown_certificate_is_a_permanent_error(
    with_tokens: RegistryServer, repository: str
) -> None:
    registry = Registry(with_tokens.host, plain_http=False, credentials=None)
    with pytest.raises(
        RegistryError, match=r"valid TLS certificate: .*REQUESTS_CA_BUNDLE"
    ) as raised:
        registry.tags(repository)
    assert not raised.value.is_temporary


def test_plain_http_is_named_where_a_registry_has_no_tls(
    image_registry: RegistryServer, repository: str
) -> None:
    registry = Registry(image_registry.host, plain_http=False, credentials=None)
    with pytest.raises(RegistryError, match="set plain-http = true"):
        registry.tags(repository)


def test_a_registry_that_comes_back_only_delays_a_push_and_each_wait_is_reported(
    registry_program: Path, tmp_path: Path
) -> None:
    server = RegistryServer(registry_program, tmp_path)
    reports: list[str] = []
    registry = Registry(
        server.host, plain_http=True, credentials=None, timeout=30, report=reports.append
    )
    pushed(registry, "sales", tmp_path, "a")
    server.stop()
    # While the registry does not answer: one report has been made before it comes back.
    back = threading.Thread(target=lambda: (wait_until(lambda: reports), server.start()))
    back.start()
    try:
        digest = pushed(registry, "sales", tmp_path, "b", name="two")
        back.join()
        assert registry.tags("sales") == ["a", "b"]
        assert registry.digest("sales", "b") == digest
    finally:
        server.stop()
    assert f"Registry {server.host} does not answer: Connection refused. Retrying" in reports[0]


def test_a_registry_that_stays_away_is_a_temporary_error_after_the_timeout(
    registry_program: Path, tmp_path: Path
) -> None:
    server = RegistryServer(registry_program, tmp_path)
    server.stop()
    started = time.monotonic()
    registry = Registry(server.host, plain_http=True, credentials=None, timeout=1.5)
    with pytest.raises(RegistryError, match=r"Connection refused\. Timed out after 2 s") as raised:
        registry.tags("sales")
    assert raised.value.is_temporary
    assert 0.9 < time.monotonic() - started < 3


def test_a_name_that_does_not_resolve_is_reported_by_its_host(repository: str) -> None:
    registry = Registry("registry.invalid", plain_http=False, credentials=None, timeout=0)
    with pytest.raises(
        RegistryError, match=r"Registry registry\.invalid does not answer: "
    ) as raised:
        registry.tags(repository)
    assert "object at 0x" not in str(raised.value)
