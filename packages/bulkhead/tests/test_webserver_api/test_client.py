"""The client with its two transports, against HTTP servers that may misbehave."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from packages.bulkhead.tests.json_server import JsonHandler, serve

from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import NoAnswerError, NotGraphQLError, ReportedError
from bulkhead.webserver_api.transports import DirectTransport, ProxyTransport, is_mutation

PROXY = "/api/v1/namespaces/spaces/services/blue-webserver:http/proxy/graphql"
QUERY = "query Version { version }"
MUTATION = "fragment e on PythonError { message }\nmutation Stop { stop { ...e } }"


class Server:
    """Answers every request alike, and keeps what was sent."""

    def __init__(self) -> None:
        self.status, self.answer = 200, b'{"data": {"version": "1"}}'
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.connections: set[int] = set()
        server = self

        class Handler(JsonHandler):
            def do_GET(self) -> None:
                path, query = self.asked()
                self.keep(path, query | {"variables": json.loads(query["variables"])})

            def do_POST(self) -> None:
                self.keep(self.path, self.body())

            def keep(self, path: str, sent: dict[str, Any]) -> None:
                server.sent.append((self.command, path, sent))
                server.connections.add(self.client_address[1])
                self.raw(server.answer, server.status)

        self._server = serve(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def direct(url: str) -> GraphQLClient:
    return GraphQLClient(DirectTransport(f"{url}/graphql"))


def proxied(url: str) -> GraphQLClient:
    return GraphQLClient(ProxyTransport(KubernetesApi(url), "blue", "spaces"))


both = pytest.mark.parametrize("client", [direct, proxied])
Make = Callable[[str], GraphQLClient]


@both
def test_a_query_returns_its_data(server: Server, client: Make) -> None:
    assert client(server.url).execute(QUERY, {"a": [1]}) == {"version": "1"}
    ((_, _, sent),) = server.sent
    assert sent == {"query": QUERY, "variables": {"a": [1]}}


def test_the_connection_to_an_address_is_kept(server: Server) -> None:
    client = direct(server.url)
    for _ in range(3):
        client.execute(QUERY)
    assert {command for command, _, _ in server.sent} == {"POST"}
    assert len(server.connections) == 1


def test_through_the_api_server_a_query_is_a_get_and_a_mutation_a_post(server: Server) -> None:
    proxied(server.url).execute(QUERY)
    proxied(server.url).execute(MUTATION, {"a": 1})
    assert [each[:2] for each in server.sent] == [("GET", PROXY), ("POST", PROXY)]
    assert server.sent[1][2] == {"query": MUTATION, "variables": {"a": 1}}


@pytest.mark.parametrize(
    ("document", "changes"),
    [
        (MUTATION, True),
        ("mutation{ a }", True),
        ("query A { a }\n# mutation\nquery B { b }", False),
        ("{ mutation }", False),
        ("query A($mutation: Int, $b: S = {mutation: 1}) { a }", False),
        ('query A { a(b: "} mutation {", c: """} mutation""") }', False),
        ('mutation A($a: S = "}") { a }', True),
    ],
)
def test_a_mutation_is_recognized_wherever_it_stands(document: str, changes: bool) -> None:
    assert is_mutation(document) is changes


@both
def test_errors_of_the_web_server_are_reported_in_its_words(server: Server, client: Make) -> None:
    server.answer = b'{"data": {"version": null}, "errors": [{"message": "no database"}]}'
    with pytest.raises(ReportedError, match="reports: no database") as raised:
        client(server.url).execute(QUERY)
    assert raised.value.reported == "no database"
    assert raised.value.type_name is None


@pytest.mark.parametrize("status", [400, 500])
def test_graphql_errors_with_an_http_error_are_reported_too(server: Server, status: int) -> None:
    server.status, server.answer = status, b'{"data": null, "errors": [{"message": "no field x"}]}'
    with pytest.raises(ReportedError, match="no field x"):
        direct(server.url).execute(QUERY)


@both
@pytest.mark.parametrize("answer", [b"{}", b"[1]", b'{"data": null}', b'{"data": []}'])
def test_json_that_is_not_graphql_is_an_error(server: Server, client: Make, answer: bytes) -> None:
    server.answer = answer
    with pytest.raises((NotGraphQLError, NoAnswerError)):
        client(server.url).execute(QUERY)


def test_a_page_is_not_graphql(server: Server) -> None:
    server.answer = b"<html>upstream connect error</html>"
    with pytest.raises(NotGraphQLError, match=r"did not answer with JSON.*upstream"):
        direct(server.url).execute(QUERY)


@both
@pytest.mark.parametrize("status", [302, 403, 503])
def test_an_http_error_keeps_its_status(server: Server, client: Make, status: int) -> None:
    server.status, server.answer = status, b'{"message": "services is forbidden"}'
    with pytest.raises(NoAnswerError, match="services is forbidden") as raised:
        client(server.url).execute(QUERY)
    assert raised.value.status == status


@both
def test_a_server_that_is_away_is_named(client: Make) -> None:
    with pytest.raises(NoAnswerError, match="does not answer") as raised:
        client("http://127.0.0.1:1").execute(QUERY)
    assert raised.value.status is None
    assert ("blue-webserver in namespace spaces" in str(raised.value)) == (client is proxied)


def test_a_web_server_that_takes_too_long_is_given_up() -> None:
    class Silent(JsonHandler):
        def do_POST(self) -> None:
            self.body()
            self.connection.recv(1)

    silent = serve(Silent)
    with pytest.raises(NoAnswerError, match="does not answer: ReadTimeoutError"):
        direct(f"http://127.0.0.1:{silent.server_address[1]}").execute(QUERY, timeout=0.1)
    silent.shutdown()
    silent.server_close()


def test_any_kubernetes_client_with_get_and_create_will_do() -> None:
    class Forbidding:
        def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
            raise KubernetesApiError(f"{path} is forbidden: {len(query)}", 403)

        def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
            return {"data": {"path": path, **body}}

    client = GraphQLClient(ProxyTransport(Forbidding()))
    assert client.execute(MUTATION)["path"].endswith("bulkhead-webserver:http/proxy/graphql")
    with pytest.raises(NoAnswerError, match="bulkhead-webserver in namespace bulkhead") as raised:
        client.execute(QUERY)
    assert raised.value.status == 403


def test_a_member_of_a_union_is_returned_or_reported() -> None:
    client = direct("http://127.0.0.1:1")
    runs = {"__typename": "Runs", "results": []}
    assert client.member({"runs": runs}, "runs", "Runs") == runs
    gone = {"__typename": "RunNotFoundError", "message": "Run r could not be found."}
    with pytest.raises(ReportedError, match="RunNotFoundError: Run r could not") as raised:
        client.member({"runs": gone}, "runs", "Runs")
    assert raised.value.type_name == "RunNotFoundError"
    for data in ({}, {"runs": None}, {"runs": []}, {"runs": {}}):
        with pytest.raises(NotGraphQLError):
            client.member(data, "runs", "Runs")


def test_importing_it_imports_neither_dagster_nor_the_kubernetes_client() -> None:
    code = (
        "import json, sys\n"
        "from bulkhead.webserver_api import daemons, runs, transports, workspace\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"dagster", "dagster_graphql", "kubernetes"} & set(json.loads(done.stdout))
