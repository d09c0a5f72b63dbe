"""The ways in which a request to the web server can fail."""


class WebServerError(Exception):
    """A request to the web server failed; the message says why.

    `status` is the HTTP status of the answer; None where there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep the message for people and the status for code."""
        super().__init__(message)
        self.status = status


class NoAnswerError(WebServerError):
    """The web server cannot be reached, or something before it refused the request.

    Through the API server, 401 and 403 mean that a right is missing, and 503 that no pod is ready.
    """


class ReportedError(WebServerError):
    """The web server answered with an error.

    `reported` is its own message. `type_name` is the GraphQL type of the error, such as
    `RunNotFoundError`; None where the document itself failed.
    """

    def __init__(self, message: str, reported: str, type_name: str | None = None) -> None:
        """Keep the message for people, and the web server's own message and type for code."""
        super().__init__(message)
        self.reported = reported
        self.type_name = type_name


class NotGraphQLError(WebServerError):
    """The answer is not what Dagster's GraphQL API returns for the document."""
