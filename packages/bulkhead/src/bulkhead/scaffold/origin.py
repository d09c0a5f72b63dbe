"""Where the `bulkhead` that runs was installed from, so that a new repository can use the same.

Bulkhead is not on a public package index. pip and uv record the origin of a package that does not
come from an index: https://packaging.python.org/en/latest/specifications/direct-url/.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlparse

from bulkhead.images.errors import ImageError

WHEELS: Final = "wheels"
"""The folder for a wheel in the new repository."""


class OriginError(Exception):
    """The origin cannot be used by another machine; `str()` says why and what to do."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where `bulkhead` comes from.

    Attributes:
        source: Its entry in `tool.uv.sources`, as TOML; None: it comes from a package index.
        wheel: A wheel to copy into the folder `wheels` of the repository.
    """

    source: str | None
    wheel: Path | None = None


def find(scratch: Path, report: Callable[[str], None]) -> Origin:
    """Return the origin of the `bulkhead` that runs.

    Args:
        scratch: An empty folder, for a wheel of a `bulkhead` that is installed from a folder.
        report: Called with a line before something that takes long.

    Raises:
        OriginError: The wheel is gone or cannot be built.
    """
    recorded = distribution("bulkhead").read_text("direct_url.json")
    return of_direct_url(json.loads(recorded) if recorded else None, scratch, report)


def of_direct_url(
    recorded: Mapping[str, Any] | None, scratch: Path, report: Callable[[str], None]
) -> Origin:
    """Return the origin that a direct_url.json records; None: there is no such file.

    Raises:
        OriginError: As for `find`.
    """
    if recorded is None:
        return Origin(None)
    url = str(recorded["url"])
    if "vcs_info" in recorded:
        source = {"git": url, "rev": recorded["vcs_info"]["commit_id"]}
        if recorded.get("subdirectory"):
            source["subdirectory"] = recorded["subdirectory"]
        return Origin(_table(source))
    parsed = urlparse(url)
    if parsed.scheme != "file":
        return Origin(_table({"url": url}))
    path = Path(unquote(parsed.path))
    wheel = path if path.suffix == ".whl" else _build(path, scratch, report)
    if not wheel.is_file():
        raise OriginError(
            f"bulkhead was installed from {wheel}, which is gone. Install it again, from a wheel "
            "that stays or from a git repository."
        )
    return Origin(_table({"path": f"{WHEELS}/{wheel.name}"}), wheel)


def _build(folder: Path, scratch: Path, report: Callable[[str], None]) -> Path:
    try:
        from bulkhead.images import wheel
    except ImportError as error:
        raise OriginError(
            f"The wheel of bulkhead cannot be built: {error}. Install bulkhead with its extra "
            "deploy: `uv pip install 'bulkhead[deploy]'` from the same place as before."
        ) from error
    report(f"Building a wheel of {folder} …")
    try:
        return wheel.build(folder, "wheel", scratch, report=report)
    except ImageError as error:
        raise OriginError(
            f"The wheel of bulkhead cannot be built: {error}\n{error.output}"
        ) from error


def _table(values: Mapping[str, str]) -> str:
    # A JSON string is also one in TOML.
    return "{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + "}"
