"""Names of images: `registry.example.com:5000/team/sales:1@sha256:…`."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from bulkhead.registry.errors import RegistryError

DOCKER_HUB: Final = "docker.io"
"""The host of a name without a host."""

# The grammar of https://pkg.go.dev/github.com/distribution/reference.
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE: Final = re.compile(
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


class InvalidReferenceError(RegistryError):
    """The text is not a name of an image."""


@dataclass(frozen=True)
class Reference:
    """An image, or all images of a repository where tag and digest are None."""

    host: str
    """With its port, if the name has one."""
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read a name; one without a host is a name of Docker Hub.

        Raises:
            InvalidReferenceError: The text is not a name of an image.
        """
        first, slash, rest = text.partition("/")
        # As docker does: otherwise the first part is a user of Docker Hub.
        has_host = bool(slash) and (first == "localhost" or bool(re.search(r"[.:]", first)))
        host, name = (first, rest) if has_host else (DOCKER_HUB, text)
        found = _REFERENCE.fullmatch(name)
        if found is None:
            raise InvalidReferenceError(
                f"{text!r} is not a valid name of an image. A name is "
                "host/repository:tag@sha256:digest, with a repository of lower-case letters, "
                "digits, dots, dashes and underscores."
            )
        repository = found["repository"]
        if host == DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
        return cls(host, repository, found["tag"], found["digest"])

    def __str__(self) -> str:
        """Return the whole name."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def is_loopback(host: str) -> bool:
    """Return whether a host, with or without a port, is this machine."""
    name = re.sub(r":\d+$", "", host).strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
