"""Steps for the tests of verdicts, growth, disruptions and resumption.

Code servers in the cluster load this file from a ConfigMap, in the image of `hello`.
"""
# pyright: reportUnknownMemberType=false
# Dagster's annotations of `job`, `to_job` and `alias` are incomplete.

import ctypes
import http.client
import mmap
import os
import signal
import socket
import threading
import time
from pathlib import Path

import dagster as dg
import psycopg2

from bulkhead.steps import step_resources
from bulkhead.steps.growth_channel import request_memory

MEBIBYTE = 2**20

SMALL = step_resources(memory="256Mi", cpu="500m")


def one_step(op: dg.OpDefinition) -> dg.JobDefinition:
    """A job of the same name with only this step."""

    @dg.graph(name=f"only_{op.name}")
    def graph() -> None:
        op()

    return graph.to_job(name=op.name)


def take(mebibytes: int) -> mmap.mmap:
    """Allocate memory and write to each page, because the kernel allocates a page at a write."""
    block = mmap.mmap(-1, mebibytes * MEBIBYTE)
    for page in range(0, len(block), mmap.PAGESIZE):
        block[page] = 1
    return block


def print_time() -> None:
    """Print a line with the time, in seconds since 1970."""
    print(f"the last line, at {time.time():.3f}", flush=True)


def end_now(code: int) -> None:
    """Print the time and end the process; Dagster gets no event."""
    print_time()
    os._exit(code)


# --- Verdicts ---------------------------------------------------------------------------------


@dg.op(tags=SMALL)
def hog() -> None:
    """Allocate memory until it is killed; its last line says when."""
    blocks: list[mmap.mmap] = []
    for _ in range(128):
        print_time()
        blocks.append(take(8))


@dg.op(tags=step_resources(memory="256Mi", ephemeral_storage="64Mi"))
def scribbler() -> None:
    with Path("/tmp/much").open("wb") as file:
        file.writelines(b"\xff" * MEBIBYTE for _ in range(200))
    time.sleep(600)


@dg.op(tags=step_resources(memory="256Mi", timeout="15s"))
def dawdler() -> None:
    time.sleep(600)


@dg.op(tags=SMALL)
def exit_3() -> None:
    end_now(3)


@dg.op(tags=SMALL)
def exit_0() -> None:
    end_now(0)


@dg.op(tags=SMALL)
def segfault() -> None:
    print_time()
    ctypes.string_at(0)


def with_kubernetes(**config: object) -> dict[str, object]:
    """Dagster's tag and ours; where both set an amount, ours is used."""
    return {**SMALL, "dagster-k8s/config": config}


@dg.op(
    tags=with_kubernetes(
        container_config={"image": "bulkhead-registry:5000/bulkhead/hello:never-pushed"}
    )
)
def no_image() -> None:
    """Never run."""


@dg.op(tags=step_resources(memory="48Gi", cpu="500m"))
def too_large_for_any_node() -> None:
    """Never run."""


@dg.op(
    tags=with_kubernetes(
        pod_spec_config={
            "containers": [
                {
                    "name": "beside",
                    "image": "anything",
                    "resources": {"limits": {"memory": "80Gi"}},
                }
            ]
        }
    )
)
def refused_by_limit_range() -> None:
    """Never run."""


@dg.op(tags=with_kubernetes(pod_spec_config={"host_network": True}))
def refused_by_pod_security() -> None:
    """Never run."""


@dg.op(tags=step_resources(memory="256Mi", cpu="7"))
def never_fits_the_quota() -> None:
    """Never run."""


@dg.op(tags=with_kubernetes(container_config={"command": ["/no/such/program"]}))
def no_program() -> None:
    """Never run."""


ENDED = (hog, scribbler, dawdler, exit_3, exit_0, segfault)
"""Steps whose container runs and ends."""


@dg.job
def five_of_each() -> None:
    for op in ENDED:
        for number in range(5):
            op.alias(f"{op.name}_{number}")()


# --- Growth -----------------------------------------------------------------------------------


@dg.op(
    tags=step_resources(memory="256Mi", max_memory="1Gi"),
    retry_policy=dg.RetryPolicy(max_retries=1),
)
def grower(context: dg.OpExecutionContext) -> None:
    block = take(500)
    print(f"took {len(block)} bytes at own attempt {context.retry_number}", flush=True)
    if context.retry_number == 0:
        raise RuntimeError("fails once by itself, too")


@dg.op(tags=step_resources(memory="256Mi", max_memory="4Gi"))
def grower_to_the_ceiling() -> None:
    take(1024)


@dg.op(tags=step_resources(memory="192Mi", max_memory="2Gi", retries_on_oom=1))
def grower_once() -> None:
    take(1024)


@dg.op(tags=step_resources(memory="160Mi", max_memory="1Gi"))
def slow_grower() -> None:
    """Allocate 10 MiB every 0.4 s up to 450 MiB; with the 150 MiB of every step some 600 MiB."""
    blocks: list[mmap.mmap] = []
    for _ in range(45):
        blocks.append(take(10))
        time.sleep(0.4)


@dg.op(tags=step_resources(memory="256Mi", max_memory="512Mi"))
def cheat(context: dg.OpExecutionContext) -> None:
    """Request growth for another step, without a secret, and beyond its own max_memory."""
    address = os.environ["BULKHEAD_GROWTH_ADDRESS"]
    own, secret = os.environ["BULKHEAD_GROWTH_STEP"], os.environ["BULKHEAD_GROWTH_SECRET"]

    def request(step: str, secret: str) -> str:
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("POST", "/", step, {"Authorization": secret})
        response = connection.getresponse()
        return f"{response.status} {response.read().decode()}"

    answers = {
        "other step": request(f"{own}-1", secret),
        "no secret": request(own, ""),
        "wrong secret": request(own, "0" * 64),
        **{f"own {number}": request(own, secret) for number in range(4)},
    }
    context.add_output_metadata(answers)


class Moment(dg.Config):
    milliseconds: int


MOMENTS = [Moment(milliseconds=after) for after in (0, 100, 200)]
"""When a step allocates, after its request. A kubelet needs some 500 ms to raise a limit."""


@dg.op(
    tags=step_resources(memory="384Mi", max_memory="768Mi"),
    ins={"before": dg.In(dg.Nothing)},
)
def snatcher(config: Moment) -> None:
    """Request growth, then allocate more than its first limit as fast as possible."""
    threading.Thread(target=request_memory).start()
    time.sleep(config.milliseconds / 1000)
    block = (ctypes.c_char * (400 * MEBIBYTE))()
    ctypes.memset(block, 1, len(block))


@dg.graph
def snatchers() -> None:
    before = ()
    for moment in MOMENTS:
        before = (snatcher.alias(f"snatcher_{moment.milliseconds}")(*before),)


# --- Walls ------------------------------------------------------------------------------------


@dg.op(tags=SMALL)
def prowler(context: dg.OpExecutionContext) -> None:
    """Find every file and folder that it may write to."""
    found: set[str] = set()
    for folder, folders, files in os.walk("/"):
        if folder == "/":
            folders[:] = set(folders) - {"dev", "proc", "sys"}
        if os.access(folder, os.W_OK):
            found.add(folder)
            folders.clear()
        else:
            paths = {f"{folder}/{name}" for name in files}
            found |= {path for path in paths if os.access(path, os.W_OK)}
    context.add_output_metadata({"found": sorted(found)})


# --- Disruptions ------------------------------------------------------------------------------


def ledger() -> psycopg2.extensions.connection:
    """Connect to the database; DNS may fail for some seconds after a node has come back."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return psycopg2.connect(
                host="bulkhead-postgresql.bulkhead.svc",
                dbname="bulkhead",
                user=os.environ["DAGSTER_PG_USERNAME"],
                password=os.environ["DAGSTER_PG_PASSWORD"],
            )
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def note(context: dg.OpExecutionContext, what: str) -> None:
    """Add a row to the ledger; it stays when the step fails."""
    with ledger() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO e2e_steps (run, step, what) VALUES (%s, %s, %s)",
            (context.run_id, context.get_step_execution_context().step.key, what),
        )


class Length(dg.Config):
    seconds: float = 20


@dg.op(tags=step_resources(memory="256Mi", cpu="200m"))
def worker(context: dg.OpExecutionContext, config: Length) -> None:
    note(context, "begun")
    time.sleep(config.seconds)
    note(context, "done")


@dg.op(tags=step_resources(memory="256Mi", cpu="200m"), retry_policy=dg.RetryPolicy(max_retries=1))
def fails_once(context: dg.OpExecutionContext, config: Length) -> None:
    """Fail at the end of its first own attempt; its RetryPolicy allows exactly one retry."""
    note(context, f"own attempt {context.retry_number + 1}")
    time.sleep(config.seconds)
    if context.retry_number == 0:
        raise RuntimeError("fails once by itself")
    note(context, "done")


@dg.op(tags=with_kubernetes(pod_spec_config={"termination_grace_period_seconds": 8}))
def stubborn(context: dg.OpExecutionContext) -> None:
    """Ignore SIGTERM, and write a row every 0.5 s."""
    note(context, "begun")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ends = time.monotonic() + 15
    while time.monotonic() < ends:
        time.sleep(0.5)
        note(context, "at work")
    note(context, "done")


# --- Resumption -------------------------------------------------------------------------------


@dg.op(tags=step_resources(memory="256Mi", cpu="200m"))
def first(context: dg.OpExecutionContext) -> int:
    note(context, "begun")
    time.sleep(3)
    return 1


@dg.op(tags=step_resources(memory="256Mi", cpu="200m"))
def middle(context: dg.OpExecutionContext, value: int) -> int:
    note(context, "begun")
    time.sleep(8)
    return value


@dg.op(
    tags=step_resources(memory="256Mi", cpu="200m"),
    retry_policy=dg.RetryPolicy(max_retries=1, delay=6),
)
def at_second_attempt(context: dg.OpExecutionContext, one: int, other: int) -> int:
    note(context, "begun")
    if context.retry_number == 0:
        raise RuntimeError("not yet")
    return one + other


@dg.op(tags=step_resources(memory="256Mi", cpu="200m"))
def last(context: dg.OpExecutionContext, value: int) -> int:
    note(context, "begun")
    time.sleep(10)
    return value


@dg.job
def long_way() -> None:
    value = first()
    last(at_second_attempt(middle.alias("left")(value), middle.alias("right")(value)))


# --- Many -------------------------------------------------------------------------------------


class Gate(dg.Config):
    """Address of the server that keeps the steps running."""

    host: str
    port: int


@dg.op(
    tags={
        "dagster-k8s/config": {
            "container_config": {
                "resources": {
                    "requests": {"cpu": "20m", "memory": "192Mi"},
                    "limits": {"cpu": "500m", "memory": "256Mi"},
                }
            }
        }
    }
)
def one_of_many(config: Gate) -> None:
    """Wait at the gate: it closes the connection when it opens."""
    with socket.create_connection((config.host, config.port), timeout=10) as connection:
        connection.settimeout(400)
        connection.recv(1)


@dg.graph
def fifty_together() -> None:
    for number in range(50):
        one_of_many.alias(f"step_{number}")()


def through_gate(config: dict[str, object]) -> dict[str, object]:
    """Run configuration, from the configuration of the job."""
    return {"ops": {f"step_{number}": {"config": config} for number in range(50)}}


GATED = dg.ConfigMapping(config_schema={"host": str, "port": int}, config_fn=through_gate)


defs = dg.Definitions(
    jobs=[
        fifty_together.to_job(config=GATED),
        five_of_each,
        long_way,
        snatchers.to_job(
            config=dg.RunConfig(ops={f"snatcher_{each.milliseconds}": each for each in MOMENTS})
        ),
        *map(
            one_step,
            (
                hog,
                scribbler,
                dawdler,
                exit_3,
                exit_0,
                segfault,
                no_image,
                too_large_for_any_node,
                refused_by_limit_range,
                refused_by_pod_security,
                never_fits_the_quota,
                no_program,
                grower,
                grower_to_the_ceiling,
                grower_once,
                slow_grower,
                cheat,
                prowler,
                worker,
                fails_once,
                stubborn,
            ),
        ),
    ]
)
