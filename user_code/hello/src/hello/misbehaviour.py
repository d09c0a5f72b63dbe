"""Steps that do to a shared machine what steps should not do, each as a job of one step.

They ask for limits with Dagster's standard tag, as any step may; a run may ask for others.
"""

import contextlib
import enum
import os
import signal
import subprocess
import tempfile
import threading
import time
from hashlib import sha256
from statistics import median
from typing import Any

import dagster as dg

from hello import cgroup

MEBIBYTE = 2**20

SLICE = 10_000_000
"""Turns of an empty loop in one slice of `steady_neighbour`: 0.1 to 0.3 s of one core."""


def limits(*, cpu: str, memory: str) -> dict[str, Any]:
    """Return the tag that gives a step these limits, and what they need to be placed."""
    resources = {
        "requests": {"cpu": "100m", "memory": memory},
        "limits": {"cpu": cpu, "memory": memory},
    }
    return {"dagster-k8s/config": {"container_config": {"resources": resources}}}


class Memory(dg.Config):
    """How much memory to take, and how fast."""

    mebibytes: int = 2048
    mebibytes_per_second: int = 256


@dg.op(tags=limits(cpu="500m", memory="512Mi"))
def eat_memory(config: Memory) -> None:
    """Take memory, and keep it until there is enough."""
    eaten = bytearray()
    while len(eaten) < config.mebibytes * MEBIBYTE:
        portion = min(config.mebibytes_per_second, config.mebibytes - len(eaten) // MEBIBYTE)
        # Not zeros: the kernel gives memory only to what is written to.
        eaten += b"\xff" * (portion * MEBIBYTE)
        print(f"holds {len(eaten) // MEBIBYTE} MiB", flush=True)
        time.sleep(1)


class Spin(dg.Config):
    """On how many threads to compute, how long, and whether in turns."""

    threads: int = 8
    seconds: float = 30.0
    """How long a turn takes."""
    turns: int = 1
    rest_seconds: float = 5.0
    """How long nothing is done between two turns."""


@dg.op(tags=limits(cpu="500m", memory="320Mi"))
def spin_cpu(context: dg.OpExecutionContext, config: Spin) -> None:
    """Compute without a pause on many threads, and say how much CPU time that got."""
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
    """Compute on so many threads for so many seconds; return the CPU seconds that they got."""
    end = time.monotonic() + seconds
    started = time.process_time()
    spinning = [threading.Thread(target=_hash_until, args=(end,)) for _ in range(threads)]
    for thread in spinning:
        thread.start()
    for thread in spinning:
        thread.join()
    return time.process_time() - started


def _hash_until(end: float) -> None:
    # Hashing a large block leaves Python's lock to the other threads meanwhile.
    block = bytes(MEBIBYTE)
    while time.monotonic() < end:
        sha256(block).digest()


class Disk(dg.Config):
    """How much to write, and where."""

    mebibytes: int = 2048
    mebibytes_per_second: int = 256
    directory: str = tempfile.gettempdir()
    seconds: float = 60.0
    """How long the file stays."""


@dg.op
def fill_disk(config: Disk) -> None:
    """Write a file, keep it for a while, and remove it."""
    with tempfile.TemporaryFile(dir=config.directory) as file:
        for written in range(0, config.mebibytes, config.mebibytes_per_second):
            portion = min(config.mebibytes_per_second, config.mebibytes - written)
            file.write(b"\xff" * (portion * MEBIBYTE))
            file.flush()
            print(f"wrote {written + portion} MiB to {config.directory}", flush=True)
            time.sleep(1)
        time.sleep(config.seconds)


class Processes(dg.Config):
    """How many processes to start, and how long they live."""

    processes: int = 2000
    seconds: float = 30.0


@dg.op
def start_processes(context: dg.OpExecutionContext, config: Processes) -> None:
    """Start processes until there are enough or the system refuses, and end them."""
    with contextlib.ExitStack() as alive:
        started = 0
        try:
            for _ in range(config.processes):
                process = subprocess.Popen(["sleep", str(config.seconds)])
                alive.callback(process.wait)
                started += 1
        except OSError as error:
            print(f"refused after {started}: {error}")
        print(f"started {started} of {config.processes} processes", flush=True)
        context.add_output_metadata({"started": started})


class Duration(dg.Config):
    """How long."""

    seconds: float = 60.0


@dg.op
def sleep(config: Duration) -> None:
    """Do nothing for a while."""
    time.sleep(config.seconds)


class Ending(enum.Enum):
    """How a process ends before its time."""

    EXCEPTION = "exception"
    EXIT = "exit"
    SIGNAL = "signal"


class Failing(dg.Config):
    """How to fail."""

    ending: Ending = Ending.EXCEPTION
    exit_code: int = 3
    signal: int = int(signal.SIGSEGV)


@dg.op
def fail(config: Failing) -> None:
    """Fail: with an exception, with an exit code, or by a signal; the last two tell nobody."""
    print(f"about to fail: {config.ending.value}", flush=True)
    match config.ending:
        case Ending.EXCEPTION:
            raise RuntimeError("failed because it was told to")
        case Ending.EXIT:
            os._exit(config.exit_code)
        case Ending.SIGNAL:
            os.kill(os.getpid(), config.signal)
            # The first process of a container outlives signals that it sends to itself.
            os._exit(128 + config.signal)


class Noise(dg.Config):
    """How much to print."""

    lines: int = 10_000
    width: int = 200


@dg.op
def print_a_lot(config: Noise) -> None:
    """Print numbered lines."""
    for line in range(config.lines):
        print(f"{line:>8} ".ljust(config.width, "."))


@dg.op
def observe_limits(context: dg.OpExecutionContext) -> None:
    """Say which limits the kernel holds this step to: bytes and cores; -1 is none."""
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
    """Do equal slices of work for a while, and say how long each took."""
    end = time.monotonic() + config.seconds
    taken: list[float] = []
    while time.monotonic() < end:
        started = time.perf_counter()
        for _ in range(SLICE):
            pass
        taken.append(time.perf_counter() - started)
        print(f"slice {len(taken)}: {taken[-1]:.4f} s, ended at {time.time():.3f}", flush=True)
    context.add_output_metadata({"slices": len(taken), "median_seconds": median(taken)})


@dg.op(tags=limits(cpu="1", memory="64Ti"))
def ask_too_much() -> None:
    """Never run: no machine has what this step asks for."""


def job_of(op: dg.OpDefinition, name: str) -> dg.JobDefinition:
    """Make a job of this one step."""

    # A graph's name must not be an op's; a job's may.
    @dg.graph(name=f"only_{op.name}")
    def graph() -> None:
        op()

    return graph.to_job(name=name, description=op.description)


jobs = [
    job_of(eat_memory, "eat_memory"),
    job_of(spin_cpu, "spin_cpu"),
    job_of(fill_disk, "fill_disk"),
    job_of(start_processes, "many_processes"),
    job_of(sleep, "sleeper"),
    job_of(fail, "failing"),
    job_of(print_a_lot, "noisy"),
    job_of(observe_limits, "observe_limits"),
    job_of(steady_neighbour, "steady_neighbour"),
    job_of(ask_too_much, "above_ceiling"),
]
