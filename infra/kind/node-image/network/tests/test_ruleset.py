"""The text for nft. `tests/snapshots` holds rulesets to be read by people.

After an intended change: `UPDATE_SNAPSHOTS=1 pytest …/test_ruleset.py`, then read the difference.
"""

import os
import subprocess
from pathlib import Path

import pytest
from network_objects import Json, namespaces, pods, policies, raw_namespace, raw_pod

from bulkhead_network.policy import Walls, resolve_walls
from bulkhead_network.ruleset import LONGEST_NAME, render_masquerade, render_walls

SNAPSHOTS = Path(__file__).parent / "snapshots"


LOCATION_POLICIES: dict[str, Json] = {
    "default-deny": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    "dns": {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "to": [
                    {
                        "namespaceSelector": {},
                        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                    }
                ],
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}],
            }
        ],
    },
    "code-server": {
        "podSelector": {"matchLabels": {"app": "code-server"}},
        "ingress": [
            {
                "from": [
                    {
                        "namespaceSelector": {
                            "matchLabels": {"kubernetes.io/metadata.name": "platform"}
                        }
                    }
                ],
                "ports": [{"port": "grpc"}],
            }
        ],
    },
    "internet": {
        "podSelector": {"matchLabels": {"app": "step"}},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}],
                "ports": [{"port": 443}, {"port": 8000, "endPort": 8099}],
            }
        ],
    },
}


def location_walls() -> Walls:
    """What a code location has: all closed, then DNS, its database, and its code server opened."""
    return resolve_walls(
        "here",
        pods(
            raw_pod(
                "team-a/server",
                "10.244.1.2",
                labels={"app": "code-server"},
                ports=[{"name": "grpc", "containerPort": 4000}],
            ),
            raw_pod("team-a/step", "10.244.1.3", labels={"app": "step"}),
            raw_pod("platform/web", "10.244.2.2", labels={"app": "web"}, node="there"),
            raw_pod("platform/daemon", "10.244.2.3", labels={"app": "daemon"}, node="there"),
            raw_pod("kube-system/dns", "10.244.0.9", labels={"k8s-app": "kube-dns"}, node="there"),
        ),
        namespaces(*map(raw_namespace, ("team-a", "platform", "kube-system"))),
        policies(**LOCATION_POLICIES),
    )


def check_snapshot(name: str, text: str) -> None:
    file = SNAPSHOTS / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(text)
    assert text == file.read_text()


def test_walls_of_a_code_location() -> None:
    check_snapshot("code_location.nft", render_walls(location_walls()))


def test_a_node_without_policies_lets_everything_through() -> None:
    check_snapshot("no_policies.nft", render_walls(Walls()))


def test_masquerade_is_for_what_leaves_the_cluster() -> None:
    check_snapshot("masquerade.nft", render_masquerade("10.244.1.0/24", "10.244.0.0/16"))


def test_pods_with_the_same_policies_share_their_rules() -> None:
    """Each pod more costs one element of each set and map, each policy more costs its own rules."""
    from_every_pod: Json = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}

    def rules(pod_count: int) -> int:
        cluster = pods(*(raw_pod(f"team-a/p{n}", f"10.244.1.{n}") for n in range(1, pod_count + 1)))
        text = render_walls(
            resolve_walls(
                "here",
                cluster,
                namespaces(raw_namespace("team-a")),
                policies(**{f"p{n}": from_every_pod for n in range(20)}),
            )
        )
        return sum(
            line.endswith(("accept", "drop")) or "jump" in line for line in text.splitlines()
        )

    assert rules(2) == rules(200)


def test_names_too_long_for_the_kernel_stay_distinct() -> None:
    every_pod: Json = {"podSelector": {}}
    found = resolve_walls(
        "here",
        pods(raw_pod("team-a/web", "10.244.1.2")),
        namespaces(raw_namespace("team-a")),
        policies(**{f"{'p' * 250}{n}": every_pod for n in range(2)}),
    )
    chains = {
        line.split()[1] for line in render_walls(found).splitlines() if "chain ingress/" in line
    }
    assert len(chains) == 2
    assert max(map(len, chains)) == LONGEST_NAME


@pytest.mark.needs_root
@pytest.mark.parametrize("name", sorted(file.name for file in SNAPSHOTS.glob("*.nft")))
def test_nft_and_the_kernel_take_the_rules(name: str) -> None:
    done = subprocess.run(
        ["nft", "--check", "--file", str(SNAPSHOTS / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
