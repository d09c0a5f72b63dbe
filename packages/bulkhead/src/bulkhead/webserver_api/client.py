"""The client of Dagster's GraphQL API."""

from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from bulkhead.webserver_api.errors import NotGraphQLError, ReportedError

TIMEOUT_SECONDS: Final = 15.0
"""How long a request may take that only reads."""

_SHOWN_CHARACTERS: Final = 200  # of an answer that is not GraphQL


class Transport(Protocol):
    """How a document travels to a web server."""

    @property
    def address(self) -> str:
        """The web server, as error messages name it."""
        ...

    def send(self, document: str, variables: Mapping[str, Any], timeout: float) -> object:
        """Send a document; return the JSON of the answer.

        Raises:
            NoAnswerError: There was no answer, or it is an HTTP error.
            NotGraphQLError: The answer is not JSON.
        """
        ...


class GraphQLClient:
    """Sends documents to one web server; safe for use by several threads."""

    def __init__(self, transport: Transport) -> None:
        """Prepare; nothing is connected yet."""
        self._transport = transport

    @property
    def address(self) -> str:
        """The web server, as error messages name it."""
        return self._transport.address

    def execute(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> dict[str, Any]:
        """Send a document and return its `data`.

        Args:
            document: A query or a mutation.
            variables: Its variables.
            timeout: How many seconds the web server may take.

        Raises:
            NoAnswerError: There was no answer, or it is an HTTP error.
            ReportedError: The web server rejects the document, or failed while it executed it. An
                error that the schema declares, such as `RunNotFoundError`, is part of the data:
                see `member`.
            NotGraphQLError: The answer is something else.
        """
        answer = self._transport.send(document, variables or {}, timeout)
        if not isinstance(answer, dict):
            raise self.unexpected(answer)
        found = cast("dict[str, Any]", answer)
        if found.get("errors"):
            reported = _first_message(found["errors"])
            raise ReportedError(f"{self.address} reports: {reported}", reported)
        data = found.get("data")
        if not isinstance(data, dict):
            raise self.unexpected(found)
        return cast("dict[str, Any]", data)

    def member(self, data: Mapping[str, Any], field: str, type_name: str) -> dict[str, Any]:
        """Return a field whose type is a union, if it is the expected member of the union.

        Args:
            data: What `execute` returned.
            field: The field's name or alias. The document selects its `__typename` and
                `... on Error { message }`.
            type_name: The expected member of the union.

        Raises:
            ReportedError: It is another member.
            NotGraphQLError: It is not a member of a union.
        """
        value = data.get(field)
        found = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        actual = found.get("__typename")
        if not actual:
            raise self.unexpected(data)
        if actual != type_name:
            reported = str(found.get("message") or actual)
            raise ReportedError(f"{self.address} reports {actual}: {reported}", reported, actual)
        return found

    def unexpected(self, answer: object) -> NotGraphQLError:
        """Return the error for an answer without the fields of the document."""
        return NotGraphQLError(
            f"{self.address} did not answer as Dagster's GraphQL API does: "
            f"{str(answer)[:_SHOWN_CHARACTERS]}"
        )


def _first_message(errors: object) -> str:
    try:
        return str(cast("Any", errors)[0]["message"])
    except (LookupError, TypeError):
        return str(errors)[:_SHOWN_CHARACTERS]
