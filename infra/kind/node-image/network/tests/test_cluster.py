"""What the agent holds of the cluster, and what makes it work."""

import threading

from network_objects import Json, number, raw_namespace, raw_pod, raw_policy

from bulkhead_network.cluster import Cluster, Snapshot

NODE: Json = {"metadata": {"name": "here"}, "spec": {"podCIDRs": ["10.244.1.0/24"]}}


def listed(*pods: Json) -> Cluster:
    cluster = Cluster("here")
    cluster.nodes.replace([NODE])
    cluster.namespaces.replace([raw_namespace("team-a")])
    cluster.policies.replace([raw_policy("team-a/deny", {"podSelector": {}})])
    cluster.pods.replace(pods)
    return cluster


def snapshot(cluster: Cluster) -> Snapshot:
    found = cluster.snapshot()
    assert found is not None
    return found


def owners(cluster: Cluster) -> dict[int, str]:
    return {address: pod.name for address, pod in snapshot(cluster).pods.items()}


def test_nothing_is_decided_before_everything_is_listed() -> None:
    cluster = Cluster("here")
    cluster.nodes.replace([NODE])
    cluster.namespaces.replace([])
    cluster.pods.replace([])
    assert cluster.snapshot() is None
    cluster.policies.replace([])
    assert cluster.snapshot() is not None


def test_only_changes_that_matter_to_walls_make_work() -> None:
    pod = raw_pod("team-a/web", "10.244.1.2")
    cluster = listed(pod)
    snapshot(cluster)
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    cluster.pods.put(pod)
    cluster.pods.replace([pod])
    cluster.pods.remove(raw_pod("team-a/unknown", None))
    assert not cluster.wait_for_change(0)
    cluster.pods.put(raw_pod("team-a/web", "10.244.1.2", labels={"app": "web"}))
    assert cluster.wait_for_change(0)


def test_a_pod_that_ends_gives_its_address_back() -> None:
    cluster = listed(raw_pod("team-a/web", "10.244.1.2"))
    cluster.pods.put(raw_pod("team-a/web", "10.244.1.2", phase="Succeeded"))
    assert owners(cluster) == {}


def test_an_address_used_again_belongs_to_the_younger_pod() -> None:
    cluster = listed(
        raw_pod("team-a/new", "10.244.1.2", created="2026-01-02T00:00:00Z"),
        raw_pod("team-a/old", "10.244.1.2", created="2026-01-01T00:00:00Z"),
    )
    assert owners(cluster) == {number("10.244.1.2"): "new"}


def test_an_address_belongs_to_the_pod_that_cni_gave_it_last() -> None:
    cluster = listed(
        raw_pod("team-a/restarted", None, created="2026-01-01T00:00:00Z"),
        raw_pod("team-a/leaving", "10.244.1.2", created="2026-01-02T00:00:00Z"),
    )
    cluster.announce("uid-restarted", number("10.244.1.2"), timeout=0)
    assert owners(cluster) == {number("10.244.1.2"): "restarted"}


def test_a_pod_with_a_new_sandbox_has_its_new_address_only() -> None:
    cluster = listed(raw_pod("team-a/web", "10.244.1.2"))
    cluster.announce("uid-web", number("10.244.1.7"), timeout=0)
    assert owners(cluster) == {number("10.244.1.7"): "web"}


def test_an_announced_pod_waits_until_its_walls_are_in_force() -> None:
    cluster = listed()
    answers: list[bool] = []
    waiting = threading.Thread(
        target=lambda: answers.append(cluster.announce("uid-web", number("10.244.1.2"), 10))
    )
    waiting.start()
    assert cluster.wait_for_change(1)
    cluster.set_in_force(snapshot(cluster))
    assert waiting.is_alive(), "the pod itself is not known yet"
    cluster.pods.put(raw_pod("team-a/web", None))
    with_pod = snapshot(cluster)
    assert waiting.is_alive(), "its walls are not in force yet"
    cluster.set_in_force(with_pod)
    waiting.join(1)
    assert answers == [True]


def test_a_pod_whose_walls_do_not_come_is_refused() -> None:
    assert not listed().announce("uid-web", number("10.244.1.2"), timeout=0.01)


def test_a_static_pod_is_known_by_the_hash_that_kubelet_knows() -> None:
    pod = raw_pod("team-a/static", None)
    pod["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "hash"}
    cluster = listed(pod)
    cluster.announce("hash", number("10.244.1.2"), timeout=0)
    assert owners(cluster) == {number("10.244.1.2"): "static"}
