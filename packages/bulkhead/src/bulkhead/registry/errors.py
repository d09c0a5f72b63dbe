"""What a failed request to a registry means, and whether a retry can help."""

import errno
import os
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, cast

import requests
from dxf.exceptions import DXFAuthInsecureError, DXFUnauthorizedError

_TEMPORARY: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)

_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class RegistryError(Exception):
    """A registry does not answer, or refused a request; `str()` says what to do.

    `is_temporary` says whether the same request may succeed later.
    """

    def __init__(self, message: str, *, is_temporary: bool = False) -> None:
        """Keep the message for people, and for code whether a retry can help."""
        super().__init__(message)
        self.is_temporary = is_temporary


def explain(error: Exception, host: str, repository: str, user: str | None) -> RegistryError:
    """Return the error that a person reads.

    Args:
        error: What the libraries below raised.
        host: The registry.
        repository: What the request was about.
        user: The name that was sent; None if there are no credentials for the registry.
    """
    match error:
        case requests.HTTPError() if error.response is not None:
            return _of_response(error.response, host, repository, user)
        case DXFUnauthorizedError():
            return _unauthorized(host, repository, user)
        case DXFAuthInsecureError():
            return RegistryError(
                f"Registry {host} requests a token, but it is used over plain HTTP, where only a "
                "user and a password are possible. Use TLS: set plain-http = false."
            )
        case requests.exceptions.SSLError():
            return RegistryError(
                f"Registry {host} does not answer with a valid TLS certificate: {_reason(error)}. "
                "If it has a private certificate authority, set REQUESTS_CA_BUNDLE to its file. "
                "If it has no TLS, set plain-http = true."
            )
        case (
            requests.ConnectionError()
            | requests.Timeout()
            | requests.exceptions.ChunkedEncodingError()
        ):
            return RegistryError(
                f"Registry {host} does not answer: {_reason(error)}.", is_temporary=True
            )
        case _:
            return RegistryError(
                f"Registry {host} sent an answer that is not one of a registry's API: "
                f"{_reason(error)}. Check the address."
            )


def _of_response(
    response: requests.Response, host: str, repository: str, user: str | None
) -> RegistryError:
    reported = _reported(response)
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        return _unauthorized(host, repository, user)
    if _is_disk_full(response):
        return RegistryError(
            f"Registry {host} is full: no space left on its disk for {repository}. Remove images, "
            "for example with `bulkhead images prune` and the registry's garbage collection."
        )
    advice = {
        HTTPStatus.FORBIDDEN: (
            f"Check that {f'user {user}' if user else 'a user without credentials'} may read and "
            f"push {repository}, and that the repository's quota has room."
        ),
        HTTPStatus.NOT_FOUND: "Check the name, or create the repository in the registry first.",
        HTTPStatus.METHOD_NOT_ALLOWED: (
            "It does not allow this request. To delete images, enable deletion in the registry, or "
            "use the registry's own rules for old images."
        ),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
            "The layer is larger than the registry, or a proxy in front of it, accepts."
        ),
    }
    message = f"Registry {host} answered {response.status_code} for {repository}: {reported}."
    status = response.status_code
    hint = next((text for code, text in advice.items() if code == status), "")
    return RegistryError(f"{message} {hint}".rstrip(), is_temporary=status in _TEMPORARY)


def _unauthorized(host: str, repository: str, user: str | None) -> RegistryError:
    if user is None:
        return RegistryError(
            f"Registry {host} requires a user and a password for {repository}, and none are "
            f"configured. Run `docker login {host}`, or set BULKHEAD_REGISTRY_USERNAME and "
            "BULKHEAD_REGISTRY_PASSWORD."
        )
    return RegistryError(
        f"Registry {host} rejected user {user} for {repository}. Check the password and the rights "
        f"of the user. Run `docker login {host}` again, or set BULKHEAD_REGISTRY_USERNAME and "
        "BULKHEAD_REGISTRY_PASSWORD."
    )


def _reported(response: requests.Response) -> str:
    """Return the registry's own messages, else the words of the status."""
    messages = [str(each.get("message") or each.get("code") or "") for each in _errors(response)]
    found = "; ".join(each.rstrip(".") for each in messages if each)
    return found or response.reason or "no reason given"


def _errors(response: requests.Response) -> list[Mapping[str, Any]]:
    """Return the list of errors in an answer; empty if it is not in the API's form."""
    try:
        body: Any = response.json()
    except ValueError:
        return []
    errors: Any = cast("Mapping[str, Any]", body).get("errors") if isinstance(body, dict) else None
    found = cast("list[Any]", errors) if isinstance(errors, list) else []
    return [cast("Mapping[str, Any]", each) for each in found if isinstance(each, dict)]


def _is_disk_full(response: requests.Response) -> bool:
    """Return whether the registry's own disk is full.

    The distribution registry answers 500; the detail has the system's error as text or as number.
    """
    if response.status_code == HTTPStatus.INSUFFICIENT_STORAGE:
        return True
    return any(_mentions_disk_full(each.get("detail")) for each in _errors(response))


def _mentions_disk_full(detail: Any) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(detail, dict):
        fields = cast("dict[str, Any]", detail)
        return fields.get("Err") in _DISK_FULL or any(map(_mentions_disk_full, fields.values()))
    return isinstance(detail, str) and any(
        detail.lower().endswith(os.strerror(number).lower()) for number in _DISK_FULL
    )


def _reason(error: BaseException) -> str:
    """Return the innermost reason of a chain of errors: the system's, where there is one.

    The texts of the outer ones contain addresses of objects, and URLs.
    """
    chain = list(_chain(error))
    for each in reversed(chain):
        if isinstance(each, OSError) and each.errno is not None and each.strerror:
            return each.strerror.rstrip(".")
    if isinstance(error, requests.Timeout):
        return os.strerror(errno.ETIMEDOUT).lower()
    return str(chain[-1]).rstrip(".") or type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it; urllib3 and requests keep that in several places."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inside = [*current.args, getattr(current, "reason", None), current.__cause__]
        current = next(
            (each for each in inside if isinstance(each, BaseException)), current.__context__
        )
