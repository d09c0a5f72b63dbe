"""The small client of the Kubernetes API against HTTP servers that misbehave."""

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import Configuration
from packages.bulkhead.tests.json_server import JsonHandler, serve

from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.kubeconfig import METADATA_ONLY, from_kubeconfig


class Server:
    """Notes requests, and answers each with the next of `answers`, else with `{}`."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.answers: list[tuple[int, bytes]] = []
        noted = self

        class Handler(JsonHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                headers = {name.title(): value for name, value in self.headers.items()}
                noted.requests.append((self.command, self.path, headers, body))
                status, answer = noted.answers.pop(0) if noted.answers else (200, b"{}")
                self.raw(answer, status)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

        self._server = serve(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def configuration(host: str) -> Any:
    configuration: Any = Configuration(host=host)
    configuration.proxy = None
    return configuration


STATUS = {"kind": "Status", "message": "jobs is forbidden", "reason": "Forbidden", "code": 403}


def test_a_refusal_has_the_api_servers_own_words(server: Server) -> None:
    server.answers = [(403, json.dumps(STATUS).encode())]
    with pytest.raises(KubernetesApiError) as caught:
        KubernetesApi(server.url).get("/api")
    error = caught.value
    assert (str(error), error.message) == ("403: jobs is forbidden", "jobs is forbidden")
    assert (error.status, error.reason) == (403, "Forbidden")


def test_a_refusal_that_is_no_status_says_how_the_answer_begins(server: Server) -> None:
    server.answers = [(502, b"<html>upstream is away</html>")]
    with pytest.raises(KubernetesApiError, match=r"^502: Bad Gateway: <html>upstream is away"):
        KubernetesApi(server.url).get("/api")


@pytest.mark.parametrize(("answer", "what"), [(b"<html>", "JSON"), (b"[]", "a JSON object")])
def test_an_answer_that_is_no_json_object_is_an_error(
    server: Server, answer: bytes, what: str
) -> None:
    server.answers = [(200, answer)]
    with pytest.raises(KubernetesApiError, match=f"{server.url}/api answered, but not with {what}"):
        KubernetesApi(server.url).get("/api")


def test_a_server_that_is_away_is_named(server: Server) -> None:
    server.stop()
    with pytest.raises(KubernetesApiError, match=f"{server.url} does not answer: .*refused") as it:
        KubernetesApi(server.url).get("/api")
    assert it.value.status is None


def test_changes_are_sent_as_a_json_patch(server: Server) -> None:
    changes = [{"op": "add", "path": "/metadata/labels", "value": {}}]
    KubernetesApi(server.url).patch("/apis/x", changes)
    method, path, headers, body = server.requests[0]
    assert (method, path, body) == ("PATCH", "/apis/x", changes)
    assert headers["Content-Type"] == "application/json-patch+json"


def test_fields_are_set_and_removed_with_a_merge_patch(server: Server) -> None:
    changes = {"data": {"mine": "{}", "another": None}}
    KubernetesApi(server.url).merge("/api/x", changes)
    method, path, headers, body = server.requests[0]
    assert (method, path, body) == ("PATCH", "/api/x", changes)
    assert headers["Content-Type"] == "application/merge-patch+json"


@pytest.mark.parametrize("uid", [None, "uid-1"])
def test_a_deletion_takes_what_is_owned_with_it(server: Server, uid: str | None) -> None:
    KubernetesApi(server.url).delete("/apis/x", uid=uid)
    method, path, _, body = server.requests[0]
    assert (method, path) == ("DELETE", "/apis/x")
    conditions = {"preconditions": {"uid": uid}} if uid else {}
    assert body == {"propagationPolicy": "Background", **conditions}


def test_text_may_be_any_bytes(server: Server) -> None:
    server.answers = [(200, "größer \n".encode() + b"\xff")]
    assert (
        KubernetesApi(server.url).text("/log", {"tailLines": "20"})
        == "größer \n\N{REPLACEMENT CHARACTER}"
    )
    assert server.requests[0][1] == "/log?tailLines=20"


def test_the_kind_of_json_can_be_chosen(server: Server) -> None:
    KubernetesApi(server.url).get("/api", {"limit": "1"}, METADATA_ONLY)
    _, path, headers, _ = server.requests[0]
    assert (path, headers["Accept"]) == ("/api?limit=1", METADATA_ONLY)


class _Dropping:
    """Closes each connection as soon as a request has come, but for the last ones."""

    def __init__(self, drops: int) -> None:
        self.methods: list[str] = []
        self._drops = drops
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.methods.append(connection.recv(2**16).split(b" ", 1)[0].decode())
                if len(self.methods) > self._drops:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def stop(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_connection_that_is_closed_without_an_answer_is_tried_once_more(method: str) -> None:
    dropping = _Dropping(drops=1)
    api = KubernetesApi(dropping.url)
    {
        "GET": lambda: api.get("/x"),
        "PATCH": lambda: api.patch("/x", []),
        "DELETE": lambda: api.delete("/x"),
    }[method]()
    assert dropping.methods == [method, method]
    dropping.stop()


def test_nothing_is_created_twice() -> None:
    dropping = _Dropping(drops=1)
    with pytest.raises(KubernetesApiError, match="does not answer"):
        KubernetesApi(dropping.url).create("/x", {})
    assert dropping.methods == ["POST"]
    dropping.stop()


# --- The connection of the kubernetes package -----------------------------------------------------


def test_a_token_that_the_package_renews_is_renewed(server: Server) -> None:
    settings = configuration(server.url)
    tokens = iter(["Bearer first", "bearer second\n"])
    settings.api_key["authorization"] = ""

    def renew(settings: Any) -> None:
        settings.api_key["authorization"] = next(tokens)

    settings.refresh_api_key_hook = renew
    api = KubernetesApi.of_configuration(settings)
    api.get("/one")
    api.get("/two")
    sent = [headers["Authorization"] for _, _, headers, _ in server.requests]
    assert sent == ["Bearer first", "bearer second"]
    with pytest.raises(KubernetesApiError, match="the credentials cannot be read: "):
        api.get("/three")


def test_without_a_token_none_is_sent(server: Server) -> None:
    KubernetesApi.of_configuration(configuration(server.url)).get("/one")
    assert "Authorization" not in server.requests[0][2]


@pytest.mark.parametrize(("no_proxy", "goes_through"), [("", True), ("10.96.0.0/12", False)])
def test_the_packages_proxy_is_used_unless_it_is_bypassed(
    no_proxy: str, goes_through: bool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setenv("no_proxy", no_proxy)
    settings = configuration("http://10.96.0.1:80")
    settings.proxy = server.url
    api = KubernetesApi.of_configuration(settings)
    assert hasattr(api._pool, "proxy") is True
    assert (api._pool.proxy is not None) is goes_through
    if goes_through:
        api.get("/one")
        assert server.requests[0][1] == "http://10.96.0.1:80/one"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and what it signed: a server's certificate and a client's."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(arguments: str) -> None:
        command = ["openssl", *arguments.split()]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=ca")
    for name in ("server", "client"):
        (folder / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:kubernetes\n")
        openssl(f"req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}")
        openssl(
            f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt "
            f"-extfile {name}.ext"
        )
    return folder


@pytest.fixture
def secure(certificates: Path) -> Iterator[str]:
    """A server that wants the client's certificate; yields its URL."""

    class Handler(JsonHandler):
        def do_GET(self) -> None:
            connection: Any = self.connection
            subject = dict(pair for (pair,) in connection.getpeercert()["subject"])
            self.answer({"client": subject["commonName"]})

    context = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.crt")
    )
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def kubeconfig(folder: Path, server: str, certificates: Path, **cluster: Any) -> Path:
    authority = {"certificate-authority": str(certificates / "ca.crt")}
    file = folder / "kubeconfig"
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": server, **authority, **cluster}}],
                "users": [
                    {
                        "name": "u",
                        "user": {
                            "client-certificate": str(certificates / "client.crt"),
                            "client-key": str(certificates / "client.key"),
                        },
                    }
                ],
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "here",
            }
        )
    )
    return file


def test_a_kubeconfig_gives_authority_and_certificate(
    secure: str, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, secure, certificates)))
    api = from_kubeconfig()
    assert api.address == secure
    assert api.get("/version") == {"client": "client"}


def test_a_kubeconfig_may_name_the_server_otherwise(
    secure: str, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, is_its_own in (("kubernetes", True), ("another", False)):
        file = kubeconfig(tmp_path, secure, certificates, **{"tls-server-name": name})
        monkeypatch.setenv("KUBECONFIG", str(file))
        if is_its_own:
            assert from_kubeconfig("here").get("/version") == {"client": "client"}
        else:
            with pytest.raises(KubernetesApiError, match=r"does not answer: .*another"):
                from_kubeconfig("here").get("/version")


def test_a_server_of_another_authority_is_not_trusted(
    secure: str, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    file = kubeconfig(tmp_path, secure, certificates, **{"certificate-authority": certifi.where()})
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(KubernetesApiError, match=r"does not answer: .*certificate verify failed"):
        from_kubeconfig().get("/version")


def test_a_context_that_is_not_there_is_an_error_that_says_what_to_do(
    certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:9", certificates)
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(KubernetesApiError, match=r"kubeconfig: .*nowhere.*--context"):
        from_kubeconfig("nowhere")
