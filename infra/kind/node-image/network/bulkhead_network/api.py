"""Following objects of the Kubernetes API: list them once, then watch, through all errors.

Each kind of object has a thread and a connection of its own. The objects are listed in pages, then
watched with bookmarks from the version of the list. A watch that ends is resumed from the last
version seen. If the API server no longer has this version (410), the objects are listed again, and
the list replaces what is known. Failures are retried after a pause that doubles up to 5 s, with
jitter. `bulkhead.kube.list_watch` promises the same; it also lists again after any other failure,
which here would be a list of all pods of the cluster by each node.
"""

import http.client
import json
import logging
import random
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from bulkhead_network.cluster import Sink
from bulkhead_network.model import Json

log = logging.getLogger(__name__)

PAGE_SIZE = 500
WATCH_SECONDS = 300
REQUEST_TIMEOUT = 30.0
# Somewhat longer than a watch lasts, so that the server is the one to end it. A server that
# disappears is noticed far earlier, by TCP keep-alive: 15 s idle + 3 probes at 5 s.
WATCH_TIMEOUT = WATCH_SECONDS + 30.0
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES = 15, 5, 3

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


class ApiError(Exception):
    """The API server rejected a request, or its answer is invalid."""


class GoneError(ApiError):
    """The API server no longer has the requested version: list again."""


@dataclass(frozen=True, slots=True)
class ApiServer:
    """Address and credentials for the API server. `tls` None is plain HTTP, for tests."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    token_file: Path

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection that notices within half a minute that its peer is gone."""
        if self.tls is None:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=REQUEST_TIMEOUT)
        else:
            connection = http.client.HTTPSConnection(
                self.host, self.port, timeout=REQUEST_TIMEOUT, context=self.tls
            )
        connection.connect()
        for option, value in (
            (socket.TCP_KEEPIDLE, KEEPALIVE_IDLE),
            (socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL),
            (socket.TCP_KEEPCNT, KEEPALIVE_PROBES),
        ):
            connection.sock.setsockopt(socket.IPPROTO_TCP, option, value)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection

    def headers(self) -> dict[str, str]:
        """Return the headers of a request; the token is read each time: kubelet renews it."""
        return {
            "Accept": "application/json",
            "Authorization": f"Bearer {self.token_file.read_text().strip()}",
            "User-Agent": "bulkhead-network",
        }


class Follower:
    """Keeps a sink equal to one collection of the API, such as `/api/v1/pods`."""

    def __init__(self, server: ApiServer, path: str, sink: Sink) -> None:
        """Prepare; no request is sent before `run`."""
        self._server = server
        self._path = path
        self._sink = sink
        self._connection: http.client.HTTPConnection | None = None
        self._version: str | None = None
        self._pause = FIRST_PAUSE

    def run(self) -> None:
        """Follow without end; each error is logged and followed by a growing pause."""
        while True:
            try:
                self._follow_once()
            except GoneError as gone:
                log.info("%s: listing again, because %s", self._path, gone)
                self._version = None
            except (OSError, http.client.HTTPException, ApiError, ValueError) as error:
                log.warning("%s: %s: %s", self._path, type(error).__name__, error)
            else:
                continue
            # What is left of an answer would be taken for the next one.
            self._disconnect()
            time.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load only
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _follow_once(self) -> None:
        if self._version is None:
            self._version = self._list()
        started = time.monotonic()
        has_come = False
        for event in self._watch(self._version):
            self._take(event)
            has_come = True
            self._pause = FIRST_PAUSE
        if not has_come and time.monotonic() - started < 1.0:
            raise ApiError("the watch ended as soon as it had begun")
        self._pause = FIRST_PAUSE

    def _list(self) -> str:
        version = ""

        def objects() -> Iterator[Json]:
            nonlocal version
            for page in self._pages():
                version = page["metadata"]["resourceVersion"]
                yield from page["items"]

        # Page by page into the sink, so that never more than one page of raw objects is held.
        self._sink.replace(objects())
        return version

    def _pages(self) -> Iterator[Json]:
        query = {"limit": str(PAGE_SIZE)}
        while True:
            page = json.load(self._get(query, REQUEST_TIMEOUT))
            yield page
            if not page["metadata"].get("continue"):
                return
            query["continue"] = page["metadata"]["continue"]

    def _watch(self, version: str) -> Iterator[Json]:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        response = self._get(query, WATCH_TIMEOUT)
        while line := response.readline():
            yield json.loads(line)

    def _take(self, event: Json) -> None:
        kind, obj = event["type"], event["object"]
        match kind:
            case "ADDED" | "MODIFIED":
                self._sink.put(obj)
            case "DELETED":
                self._sink.remove(obj)
            case "BOOKMARK":
                pass
            case "ERROR":
                reason = f"the watch was answered with {obj.get('message') or obj}"
                raise GoneError(reason) if obj.get("code") == HTTPStatus.GONE else ApiError(reason)
            case _:
                message = f"unknown kind of watch event: {kind!r}"
                raise ApiError(message)
        self._version = obj["metadata"]["resourceVersion"]

    def _get(self, query: dict[str, str], timeout: float) -> http.client.HTTPResponse:
        connection = self._connection
        # After an answer that says "Connection: close" the object stays and its socket goes.
        if connection is None or connection.sock is None:
            connection = self._connection = self._server.connect()
        connection.sock.settimeout(timeout)
        target = f"{self._path}?{urlencode(query)}"
        connection.request("GET", target, headers=self._server.headers())
        response = connection.getresponse()
        if response.status == HTTPStatus.OK:
            return response
        explanation = response.read()[:500].decode(errors="replace")
        reason = f"{response.status} {response.reason}: {explanation}"
        raise GoneError(reason) if response.status == HTTPStatus.GONE else ApiError(reason)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
