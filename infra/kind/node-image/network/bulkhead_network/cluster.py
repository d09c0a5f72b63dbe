"""The agent's picture of the cluster: filled by watches, read by the loop that builds walls."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from bulkhead_network.model import (
    Json,
    Namespace,
    Node,
    Pod,
    Policy,
    namespace_from,
    node_from,
    pod_from,
    policy_from,
)

Thing = TypeVar("Thing")
Key: TypeAlias = tuple[str, str]

# An address that CNI announced for a pod that then never shows up is forgotten after this time.
UNCLAIMED_SECONDS = 300.0


class Sink(Protocol):
    """What a watch fills."""

    def replace(self, objects: Iterable[Json]) -> None:
        """Take these objects for all that there are."""
        ...

    def put(self, obj: Json) -> None:
        """Add an object, or replace the one of the same name."""
        ...

    def remove(self, obj: Json) -> None:
        """Forget an object."""
        ...


class Collection(Generic[Thing]):
    """Objects of one kind by namespace and name; reports changes that matter, and no others."""

    def __init__(
        self,
        read: Callable[[Json], Thing | None],
        changed: threading.Condition,
        note_change: Callable[[], None],
    ) -> None:
        """`read` gives None for objects to leave out; `note_change` is called under `changed`."""
        self._read = read
        self._changed = changed
        self._note_change = note_change
        self._things: dict[Key, Thing] = {}
        self.is_listed = False

    def replace(self, objects: Iterable[Json]) -> None:
        """Take these objects for all that there are."""
        things: dict[Key, Thing] = {}
        for obj in objects:
            thing = self._read(obj)
            if thing is not None:
                things[_key(obj)] = thing
        with self._changed:
            if things != self._things or not self.is_listed:
                self._things, self.is_listed = things, True
                self._note_change()

    def put(self, obj: Json) -> None:
        """Add an object, or replace the one of the same name."""
        key, thing = _key(obj), self._read(obj)
        with self._changed:
            if self._things.get(key) == thing:
                return
            if thing is None:
                del self._things[key]
            else:
                self._things[key] = thing
            self._note_change()

    def remove(self, obj: Json) -> None:
        """Forget an object."""
        with self._changed:
            if self._things.pop(_key(obj), None) is not None:
                self._note_change()

    def now(self) -> tuple[Thing, ...]:
        """Return all objects; call under the lock of the cluster."""
        return tuple(self._things.values())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster at one moment, with at most one pod to an address."""

    nodes: tuple[Node, ...]
    namespaces: Mapping[str, Namespace]
    policies: tuple[Policy, ...]
    pods: Mapping[int, Pod] = field(repr=False)


class Cluster:
    """Everything that decides about the walls of a node; safe to use from several threads."""

    def __init__(self, node: str) -> None:
        """Start with nothing known about the cluster that `node` belongs to."""
        self._node = node
        self._changed = threading.Condition()
        self._is_changed = False
        self._announced: dict[str, tuple[int, float]] = {}
        self._in_force: frozenset[tuple[str, int]] = frozenset()
        self.nodes = Collection(node_from, self._changed, self._note_change)
        self.namespaces = Collection(namespace_from, self._changed, self._note_change)
        self.pods = Collection(pod_from, self._changed, self._note_change)
        self.policies = Collection(policy_from, self._changed, self._note_change)

    def wait_for_change(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; say whether something changed since the last snapshot."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_changed, timeout)

    def snapshot(self) -> Snapshot | None:
        """Return what is known now, or None while one kind of object was not listed yet."""
        with self._changed:
            self._is_changed = False
            collections = (self.nodes, self.namespaces, self.pods, self.policies)
            if not all(collection.is_listed for collection in collections):
                return None
            return Snapshot(
                nodes=self.nodes.now(),
                namespaces={namespace.name: namespace for namespace in self.namespaces.now()},
                policies=self.policies.now(),
                pods=self._pods_by_address(),
            )

    def announce(self, uid: str, address: int, timeout: float) -> bool:
        """Take note of the address that CNI gave a pod, and wait until its walls are in force.

        kubelet publishes the address only after the containers have started, which is too late
        for walls. Returns False if the walls did not stand within `timeout` seconds.
        """
        with self._changed:
            self._announced[uid] = (address, time.monotonic())
            self._note_change()
            return self._changed.wait_for(lambda: (uid, address) in self._in_force, timeout)

    def set_in_force(self, snapshot: Snapshot) -> None:
        """Record that the walls of this snapshot are in force, and wake the waiting threads."""
        in_force = frozenset(
            (pod.uid, address) for address, pod in snapshot.pods.items() if pod.node == self._node
        )
        with self._changed:
            self._in_force = in_force
            self._changed.notify_all()

    def _note_change(self) -> None:
        self._is_changed = True
        self._changed.notify_all()

    def _pods_by_address(self) -> dict[int, Pod]:
        pods = self.pods.now()
        self._forget_unclaimed({pod.uid for pod in pods})
        # An address that is used again may still stand in the status of the pod that had it
        # before. It belongs to the pod for which CNI announced it, else to the youngest.
        owners: dict[int, tuple[tuple[float, str, str], Pod]] = {}
        for pod in pods:
            address, announced_at = self._announced.get(pod.uid, (pod.address, -1.0))
            if address is None:
                continue
            rank = (announced_at, pod.created, pod.uid)
            if address not in owners or rank > owners[address][0]:
                owners[address] = (rank, pod)
        return {address: pod for address, (_, pod) in owners.items()}

    def _forget_unclaimed(self, uids: set[str]) -> None:
        claimed_since = time.monotonic() - UNCLAIMED_SECONDS
        self._announced = {
            uid: (address, at)
            for uid, (address, at) in self._announced.items()
            if uid in uids or at > claimed_since
        }


def _key(obj: Json) -> Key:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
