"""Resources of steps, as run configuration."""

from __future__ import annotations

import re
from typing import Any

_DECIMAL = {"": 1, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS = {**_DECIMAL, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def amount(quantity: str) -> float:
    """A Kubernetes quantity as a number: cores or bytes."""
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity)
    if not match:
        raise ValueError(f"{quantity!r} is not a valid quantity")
    return float(match[1]) * _UNITS[match[2]]


def requested(op: str, *, cpu: str, memory: str, cpu_request: str | None = None) -> dict[str, Any]:
    """Run configuration that gives an op's steps these limits.

    Args:
        op: name of the op.
        cpu: limit in cores.
        memory: limit.
        cpu_request: request in cores; half of the limit by default. That of memory is always half.
    """
    half_memory = f"{int(amount(memory) / 2**21)}Mi"
    resources = {
        "limits": {"cpu": cpu, "memory": memory},
        "requests": {"cpu": cpu_request or f"{int(amount(cpu) * 500)}m", "memory": half_memory},
    }
    step = {"container_config": {"resources": resources}}
    return {"execution": {"config": {"per_step_k8s_config": {op: step}}}}
