"""Steps that use much memory or CPU, and steps that observe their limits; each has its own job.

They set their limits with Dagster's standard tag. A run can set other limits.
"""

import threading
import time
from hashlib import sha256
from statistics import median
from typing import Any

import dagster as dg

from hello import cgroup

MEBIBYTE = 2**20

SLICE = 10_000_000
"""Iterations of an empty loop in one slice of `steady_neighbour`: 0.1 to 0.3 s of one core."""


def limits(*, cpu: str, memory: str) -> dict[str, Any]:
    """Return the tag with these limits and matching requests."""
    resources = {
        "requests": {"cpu": "100m", "memory": memory},
        "limits": {"cpu": cpu, "memory": memory},
    }
    return {"dagster-k8s/config": {"container_config": {"resources": resources}}}


class Memory(dg.Config):
    """How much memory to allocate, and how fast."""

    mebibytes: int = 2048
    mebibytes_per_second: int = 256


@dg.op(tags=limits(cpu="500m", memory="512Mi"))
def eat_memory(config: Memory) -> None:
    """Allocate memory up to an amount, and keep it."""
    eaten = bytearray()
    while len(eaten) < config.mebibytes * MEBIBYTE:
        portion = min(config.mebibytes_per_second, config.mebibytes - len(eaten) // MEBIBYTE)
        # Not zeros: the kernel allocates memory only when it is written.
        eaten += b"\xff" * (portion * MEBIBYTE)
        print(f"holds {len(eaten) // MEBIBYTE} MiB", flush=True)
        time.sleep(1)


class Spin(dg.Config):
    """The number of threads, and the length and number of turns."""

    threads: int = 8
    seconds: float = 30.0
    """Length of a turn."""
    turns: int = 1
    rest_seconds: float = 5.0
    """Pause between two turns."""


@dg.op(tags=limits(cpu="500m", memory="320Mi"))
def spin_cpu(context: dg.OpExecutionContext, config: Spin) -> None:
    """Compute on many threads, and print the CPU time that they got."""
    used: list[float] = []
    for turn in range(1, config.turns + 1):
        if used:
            time.sleep(config.rest_seconds)
        started = time.perf_counter()
        used.append(_spin(config.threads, config.seconds))
        wall = time.perf_counter() - started
        print(
            f"turn {turn}: {used[-1]:.3f} CPU seconds in {wall:.3f} s, ended at {time.time():.3f}",
            flush=True,
        )
    context.add_output_metadata(
        {"cpu_seconds": sum(used), "wall_seconds": config.turns * config.seconds}
    )


def _spin(threads: int, seconds: float) -> float:
    """Compute on a number of threads for some seconds; return the CPU seconds that they got."""
    end = time.monotonic() + seconds
    started = time.process_time()
    spinning = [threading.Thread(target=_hash_until, args=(end,)) for _ in range(threads)]
    for thread in spinning:
        thread.start()
    for thread in spinning:
        thread.join()
    return time.process_time() - started


def _hash_until(end: float) -> None:
    # Hashing a large block releases Python's lock.
    block = bytes(MEBIBYTE)
    while time.monotonic() < end:
        sha256(block).digest()


class Duration(dg.Config):
    """Duration of a step."""

    seconds: float = 60.0


@dg.op
def sleep(config: Duration) -> None:
    """Sleep."""
    time.sleep(config.seconds)


@dg.op
def observe_limits(context: dg.OpExecutionContext) -> None:
    """Print the limits that the kernel enforces on this step, in bytes and cores; -1: no limit."""
    limits = cgroup.read_limits()
    print(limits)
    context.add_output_metadata(
        {
            "memory_bytes": -1 if limits.memory_bytes is None else limits.memory_bytes,
            "cores": -1.0 if limits.cores is None else limits.cores,
        }
    )


@dg.op(tags=limits(cpu="500m", memory="320Mi"))
def steady_neighbour(context: dg.OpExecutionContext, config: Duration) -> None:
    """Do equal slices of work for some seconds, and print how long each took."""
    end = time.monotonic() + config.seconds
    taken: list[float] = []
    while time.monotonic() < end:
        started = time.perf_counter()
        for _ in range(SLICE):
            pass
        taken.append(time.perf_counter() - started)
        print(f"slice {len(taken)}: {taken[-1]:.4f} s, ended at {time.time():.3f}", flush=True)
    context.add_output_metadata({"slices": len(taken), "median_seconds": median(taken)})


def job_of(op: dg.OpDefinition, name: str) -> dg.JobDefinition:
    """Return a job with this step only."""

    # A graph cannot have the name of an op; a job can.
    @dg.graph(name=f"only_{op.name}")
    def graph() -> None:
        op()

    return graph.to_job(name=name, description=op.description)


jobs = [
    job_of(eat_memory, "eat_memory"),
    job_of(spin_cpu, "spin_cpu"),
    job_of(sleep, "sleeper"),
    job_of(observe_limits, "observe_limits"),
    job_of(steady_neighbour, "steady_neighbour"),
]
