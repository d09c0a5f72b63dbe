"""The CNI plugin and the agent's end of it."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from network_objects import Json, number, raw_pod
from test_cluster import listed, snapshot

from bulkhead_network.announcements import AnnouncementServer, answer_announcement
from bulkhead_network.cluster import Cluster
from bulkhead_network.cni import PLUGIN_SOURCE, render_config

CNI_ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=web;K8S_POD_UID=uid-web"
RESULT: Json = {
    "cniVersion": "1.0.0",
    "ips": [{"address": "10.244.1.2/24", "gateway": "10.244.1.1", "interface": 2}],
    "dns": {},
}


def configuration(socket: Path) -> str:
    """What libcni hands to the last plugin of the chain."""
    chain = json.loads(render_config("10.244.1.0/24", 1500, socket))["plugins"]
    return json.dumps({"cniVersion": "1.0.0", "name": "x", **chain[-1], "prevResult": RESULT})


@pytest.fixture
def cluster() -> Cluster:
    return listed(raw_pod("team-a/web", None))


@pytest.fixture
def socket(tmp_path: Path, cluster: Cluster) -> Iterator[Path]:
    server = AnnouncementServer(tmp_path / "agent.sock", cluster)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield tmp_path / "agent.sock"
    server.shutdown()
    server.server_close()


def plug_in(socket: Path, command: str, cni_args: str = CNI_ARGS) -> tuple[int, Json]:
    assert shutil.which("socat"), (
        "socat, which the plugin calls, is missing: run `sudo make packages`"
    )
    done = subprocess.run(
        ["sh", str(PLUGIN_SOURCE)],
        input=configuration(socket),
        env={"CNI_COMMAND": command, "CNI_ARGS": cni_args, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}")


def test_the_plugin_lets_a_pod_start_once_its_walls_are_in_force(
    socket: Path, cluster: Cluster
) -> None:
    def enforce() -> None:
        cluster.snapshot()
        cluster.wait_for_change(10)
        cluster.set_in_force(snapshot(cluster))

    threading.Thread(target=enforce, daemon=True).start()
    assert plug_in(socket, "ADD") == (0, RESULT)


def test_the_plugin_waits_for_an_agent_that_restarts(tmp_path: Path, cluster: Cluster) -> None:
    late: list[AnnouncementServer] = []

    def start() -> None:
        late.append(AnnouncementServer(tmp_path / "agent.sock", cluster))
        late[0].serve_forever(0.02)

    cluster.announce("uid-web", number("10.244.1.2"), timeout=0)
    cluster.set_in_force(snapshot(cluster))
    starting = threading.Timer(0.5, start)
    starting.start()
    assert plug_in(tmp_path / "agent.sock", "ADD") == (0, RESULT)
    late[0].shutdown()
    late[0].server_close()


def test_the_plugin_hands_an_error_on(socket: Path) -> None:
    status, error = plug_in(socket, "ADD", cni_args="IgnoreUnknown=1")
    assert status == 1
    assert error["code"] == 7
    assert "K8S_POD_UID" in error["details"]


@pytest.mark.parametrize("command", ["DEL", "CHECK"])
def test_the_plugin_has_nothing_to_undo_or_check(tmp_path: Path, command: str) -> None:
    assert plug_in(tmp_path / "missing.sock", command) == (0, {})


def test_the_plugin_knows_the_version_of_the_configuration(tmp_path: Path) -> None:
    version = json.loads(render_config("10.244.1.0/24", 1500, tmp_path))["cniVersion"]
    assert version in plug_in(tmp_path, "VERSION")[1]["supportedVersions"]


def test_a_pod_is_refused_when_its_walls_do_not_come(tmp_path: Path, cluster: Cluster) -> None:
    answer = answer_announcement(f"{CNI_ARGS}\n{configuration(tmp_path)}", cluster, timeout=0.01)
    status, _, text = answer.partition("\n")
    assert status == "error"
    assert json.loads(text)["code"] == 11
    assert "pod uid-web at 10.244.1.2" in json.loads(text)["details"]


def test_the_socket_is_for_root_alone_and_replaces_an_older_one(
    socket: Path, cluster: Cluster
) -> None:
    assert socket.stat().st_mode & 0o777 == 0o600
    AnnouncementServer(socket, cluster).server_close()
