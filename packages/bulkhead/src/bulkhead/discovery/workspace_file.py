"""`workspace.yaml`: its text, and the file that the web server reads."""

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from bulkhead.webserver_api.workspace import Location

_log = logging.getLogger(__name__)

_HEADER: Final = (
    "# Written by `bulkhead workspace-sync` from the registry of code locations and the Services\n"
    "# in their namespaces. Changes made by hand are overwritten.\n"
)


class WorkspaceFileError(ValueError):
    """A `workspace.yaml` was not written by workspace-sync."""


class WorkspaceFile:
    """The file, and the locations in it. Used by one thread; others may read the properties."""

    def __init__(self, path: Path) -> None:
        """Read the file that an earlier container of this pod left, if there is one."""
        self._path = path
        self._locations, self._text = _read(path)
        self._failure: str | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a workspace that the web server can start with."""
        return self._text is not None

    @property
    def locations(self) -> tuple[Location, ...]:
        """The locations in the file."""
        return self._locations

    @property
    def failure(self) -> str | None:
        """Why the last attempt to write failed; None where it did not."""
        return self._failure

    def write(self, locations: tuple[Location, ...]) -> bool:
        """Write the file if its content changes; return whether it has these locations now."""
        text = render(locations)
        if text != self._text:
            try:
                _write_atomically(self._path, text)
            except OSError as error:
                if self._failure is None:
                    _log.warning("cannot write %s: %s; retrying", self._path, error)
                self._failure = str(error)
                return False
            _log_changes(self._locations, locations)
        self._failure = None
        self._locations, self._text = locations, text
        return True


def render(locations: Sequence[Location]) -> str:
    """Return the text of `workspace.yaml`; the same locations give the same text."""
    entries = [
        {"grpc_server": {"host": each.host, "port": each.port, "location_name": each.name}}
        for each in sorted(locations)
    ]
    return _HEADER + yaml.safe_dump({"load_from": entries}, sort_keys=False)


def parse(text: str) -> tuple[Location, ...]:
    """Read the text of a `workspace.yaml` that `render` returned.

    Raises:
        WorkspaceFileError: It is something else.
    """
    try:
        servers = [entry["grpc_server"] for entry in yaml.safe_load(text)["load_from"]]
        return tuple(
            Location(str(server["location_name"]), str(server["host"]), int(server["port"]))
            for server in servers
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise WorkspaceFileError(f"not a workspace that workspace-sync wrote: {error!r}") from error


def _read(path: Path) -> tuple[tuple[Location, ...], str | None]:
    """Return the locations and the text of the file; none where it is missing or not ours."""
    try:
        text = path.read_text()
        locations = parse(text)
    except FileNotFoundError:
        return (), None
    except (OSError, WorkspaceFileError) as error:
        _log.warning("ignoring %s: %s", path, error)
        return (), None
    _log.info("found %s with %d locations", path, len(locations))
    return locations, text


def _write_atomically(path: Path, text: str) -> None:
    """Replace a file so that a reader finds the old text or the new, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".workspace-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp's 0600 would hide it from a web server that runs as another user.
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _log_changes(before: Sequence[Location], after: Sequence[Location]) -> None:
    old = {each.name: each for each in before}
    new = {each.name: each for each in after}
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            _log.info("location added: %s at %s:%d", name, new[name].host, new[name].port)
        elif name not in new:
            _log.info("location removed: %s", name)
        elif old[name] != new[name]:
            _log.info("location moved: %s to %s:%d", name, new[name].host, new[name].port)
    if not after:
        _log.info("the workspace has no locations")
