"""A fake web server of the grocer, and a screen that prints to memory."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from bulkhead.webserver_api.client import GraphQLClient
from bulkhead_demo.flow import Timeouts, Watch
from bulkhead_demo.screen import Screen

sys.path.append(str(Path(__file__).parent))
from grocer import Grocer
from warehouse_server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT = Timeouts(load=0.2, idle=0.2, run=0.4, poll=0.01)


@pytest.fixture
def grocer() -> Grocer:
    return Grocer()


@pytest.fixture
def client(grocer: Grocer) -> GraphQLClient:
    return GraphQLClient(grocer)


@pytest.fixture
def paper() -> io.StringIO:
    """The printed text."""
    return io.StringIO()


@pytest.fixture
def console(paper: io.StringIO) -> Console:
    return Console(file=paper, width=200, highlight=False)


@pytest.fixture
def watch(client: GraphQLClient, console: Console) -> Watch:
    return Watch(client, Screen(console), SHORT)


@pytest.fixture
def server() -> Iterator[Server]:
    """A database in the initial state of the chart's StatefulSet."""
    # Short: the path of a socket may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="grocer-"))
    folder.chmod(0o755)
    server = Server(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)
