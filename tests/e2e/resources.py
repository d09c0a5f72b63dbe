"""Limits of pods: as asked for, and as used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e import pods

if TYPE_CHECKING:
    from kubernetes import client
    from tests.e2e.cluster import Kube

_UNITS = {"": 1, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}

# cgroup v2, else v1: what this container has used since it started, and the time, in nanoseconds.
_READ_CPU = """
import pathlib, time
v2 = pathlib.Path("/sys/fs/cgroup/cpu.stat")
if v2.exists():
    used = int(v2.read_text().split()[1]) * 1000
else:
    used = int(pathlib.Path("/sys/fs/cgroup/cpuacct/cpuacct.usage").read_text())
print(used, time.monotonic_ns())
"""


def amount(quantity: str) -> float:
    """A Kubernetes quantity as a number: cores or bytes."""
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity).groups()
    return float(number) * _UNITS[unit]


def asked(op: str, *, cpu: str, memory: str) -> dict[str, Any]:
    """Run configuration that gives an op's steps these limits, and half of them as requests."""
    half_cpu = f"{int(amount(cpu) * 500)}m"
    half_memory = f"{int(amount(memory) / 2**21)}Mi"
    resources = {
        "limits": {"cpu": cpu, "memory": memory},
        "requests": {"cpu": half_cpu, "memory": half_memory},
    }
    step = {"container_config": {"resources": resources}}
    return {"execution": {"config": {"per_step_k8s_config": {op: step}}}}


@dataclass(frozen=True)
class CpuReading:
    """A container's CPU time at a moment, both in nanoseconds."""

    used: int
    at: int

    def cores_since(self, earlier: CpuReading) -> float:
        """Cores used on average since an earlier reading."""
        return (self.used - earlier.used) / (self.at - earlier.at)


def cpu(kube: Kube, pod: client.V1Pod) -> CpuReading:
    """Read a pod's CPU time from its cgroup, inside it."""
    said = pods.execute(
        kube, pod.metadata.namespace, pod.metadata.name, ["python3", "-c", _READ_CPU]
    )
    used, at = said.split()
    return CpuReading(int(used), int(at))
