"""The cluster's configuration, and which clusters are touched."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bulkhead_kind import cluster
from bulkhead_kind.cluster import ClusterError
from bulkhead_kind.engine import Engine
from bulkhead_kind.progress import Progress

Json = dict[str, Any]


def _config(*, built: bool = False, sandbox: bool = False, port: int = 3000) -> Json:
    return yaml.safe_load(
        cluster.config(built=built, port=port, cgroup_v1=sandbox, lacks_sys_resource=sandbox)
    )


def _kubelet(config: Json) -> Json:
    merged: Json = {}
    for patch in config["kubeadmConfigPatches"]:
        document: Json = yaml.safe_load(patch)
        if document["kind"] == "KubeletConfiguration":
            merged |= document
    return merged


def test_two_nodes_that_both_take_pods() -> None:
    nodes = _config()["nodes"]
    assert [node["role"] for node in nodes] == ["control-plane", "worker"]
    patch = yaml.safe_load(nodes[0]["kubeadmConfigPatches"][0])
    assert patch["nodeRegistration"]["taints"] == []


def test_the_dagster_ui_is_on_the_given_port_of_this_machine_only() -> None:
    (mapping,) = _config(port=8080)["nodes"][0]["extraPortMappings"]
    assert mapping == {"containerPort": 30300, "hostPort": 8080, "listenAddress": "127.0.0.1"}


def test_processes_of_a_pod_are_limited_everywhere() -> None:
    assert _kubelet(_config())["podPidsLimit"] == 1024


def test_a_stock_node_on_an_ordinary_host_gets_no_special_settings() -> None:
    assert not {"cgroupDriver", "cgroupRoot", "failCgroupV1", "featureGates"} & set(
        _kubelet(_config())
    )


def test_a_built_node_in_a_sandbox_gets_what_it_needs() -> None:
    kubelet = _kubelet(_config(built=True, sandbox=True))
    assert kubelet["cgroupDriver"] == "cgroupfs"
    assert kubelet["cgroupRoot"] == "/"
    assert kubelet["failCgroupV1"] is False
    assert kubelet["featureGates"] == {"KubeletInUserNamespace": True}


@pytest.mark.parametrize("given", ["0", "65536", "http", ""])
def test_a_wrong_port_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("BULKHEAD_PORT", given)
    with pytest.raises(ClusterError, match=rf"BULKHEAD_PORT is '{given}'.*1 to 65535"):
        cluster.port()


class _RecordingEngine(Engine):
    """Lists our nodes, and records what is removed."""

    def output(self, *arguments: str, timeout: float = 60) -> str:
        del timeout
        if arguments[0] == "ps":
            return (
                "bulkhead-worker\nbulkhead-control-plane" if self._filters_ours(arguments) else ""
            )
        return ""

    def run(self, step: object, *arguments: str | Path) -> None:
        del step
        removed.append(arguments)

    @staticmethod
    def _filters_ours(arguments: tuple[str, ...]) -> bool:
        return "--filter=label=io.x-k8s.kind.cluster=bulkhead" in arguments


removed: list[tuple[str | Path, ...]] = []


def test_delete_removes_the_nodes_of_our_cluster_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed.clear()
    monkeypatch.setattr(cluster, "KUBECONFIG", tmp_path / "kubeconfig")
    cluster.delete(_RecordingEngine("podman"), Progress(tmp_path))
    assert removed == [
        ("rm", "--force", "--volumes", "bulkhead-control-plane", "bulkhead-worker"),
    ]
