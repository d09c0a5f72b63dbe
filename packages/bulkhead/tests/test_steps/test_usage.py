"""What a container used, read from cgroups as kernels lay them out."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from packages.bulkhead.tests.waiting import wait_until

from bulkhead.kube.quantities import MIB
from bulkhead.steps.usage import Usage, UsageMeter, oom_kills

V2: Mapping[str, str] = {
    "memory.current": f"{200 * MIB}\n",
    "memory.max": f"{256 * MIB}\n",
    "memory.stat": f"anon {90 * MIB}\nfile {110 * MIB}\ninactive_file {80 * MIB}\nactive_file 5\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n",
    "cpu.stat": "usage_usec 1500000\nuser_usec 1200000\nsystem_usec 300000\n",
}
V1: Mapping[str, str] = {
    "memory/memory.usage_in_bytes": f"{200 * MIB}\n",
    "memory/memory.limit_in_bytes": f"{256 * MIB}\n",
    "memory/memory.stat": f"cache {110 * MIB}\ninactive_file 7\ntotal_inactive_file {80 * MIB}\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "cpuacct/cpuacct.usage": "1500000000\n",
}
BOTH = pytest.mark.parametrize("files", [V2, V1], ids=["v2", "v1"])
UNLIMITED_V1 = "9223372036854771712"  # what kernels on amd64 say


def cgroup(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return root


def use(root: Path, working_set: int) -> None:
    """Have the container use so much, beside 80 MiB that are only cache."""
    version_2 = (root / "memory.current").exists()
    path = root / ("memory.current" if version_2 else "memory/memory.usage_in_bytes")
    path.write_text(f"{working_set + 80 * MIB}\n")


def looks(meter: UsageMeter, count: int) -> None:
    """Wait until the meter has looked so many more times."""
    seen = 0
    last = list(meter._recent)

    def has_looked() -> bool:
        nonlocal seen, last
        now = list(meter._recent)
        if len(now) != len(last) or now != last:
            seen += 1
            last = now
        return seen >= count or len(now) == meter._recent.maxlen

    wait_until(has_looked)


@BOTH
def test_all_figures_are_read_and_what_is_only_cache_is_not_counted(
    files: Mapping[str, str], tmp_path: Path
) -> None:
    assert UsageMeter(cgroup(tmp_path, files)).stop() == Usage(
        peak_memory=120 * MIB, memory_limit=256 * MIB, cpu_seconds=1.5, oom_kills=1
    )


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        (V2, {"memory.max": "max\n"}),
        (V1, {"memory/memory.limit_in_bytes": f"{UNLIMITED_V1}\n"}),
    ],
    ids=["v2", "v1"],
)
def test_a_container_without_a_limit_has_none(
    files: Mapping[str, str], limit: Mapping[str, str], tmp_path: Path
) -> None:
    used = UsageMeter(cgroup(tmp_path, {**files, **limit})).stop()
    assert (used.memory_limit, used.peak_memory) == (None, 120 * MIB)


@BOTH
def test_the_peak_is_the_most_that_was_seen_and_not_what_is_left_at_the_end(
    files: Mapping[str, str], tmp_path: Path
) -> None:
    root = cgroup(tmp_path, files)
    current = root / next(name for name in files if "current" in name or "usage_in" in name)
    meter = UsageMeter(root)
    meter.start()
    current.write_text(f"{250 * MIB}\n")
    wait_until(lambda: meter._peak == 170 * MIB)
    current.write_text(f"{100 * MIB}\n")
    assert meter.stop().peak_memory == 170 * MIB


@BOTH
def test_a_peak_at_the_very_end_is_seen_by_the_last_look(
    files: Mapping[str, str], tmp_path: Path
) -> None:
    root = cgroup(tmp_path, files)
    meter = UsageMeter(root)
    (root / next(iter(files))).write_text(f"{255 * MIB}\n")
    assert meter.stop().peak_memory == 175 * MIB


# --- Growth ---------------------------------------------------------------------------------------


class Growth:
    """Somebody to ask for more memory."""

    def __init__(self, limits: list[int | None]) -> None:
        self._limits = limits
        self.asked = 0

    def __call__(self) -> int | None:
        self.asked += 1
        return self._limits[min(self.asked, len(self._limits)) - 1]


def is_near_limit(root: Path, *used: float, limit: str = str(256 * MIB)) -> bool:
    """Say whether a meter that saw so many MiB, one look after the other, would ask for more."""
    cgroup(root, {**V2, "memory.stat": "", "memory.max": limit})
    meter = UsageMeter(root, Growth([None]))
    for each in used:
        (root / "memory.current").write_text(f"{int(each * MIB)}\n")
        last = meter._take_sample()
    return meter._is_near_limit(last)


def test_a_step_is_near_its_limit_when_less_than_a_quarter_is_left(tmp_path: Path) -> None:
    assert not is_near_limit(tmp_path, 192)
    assert is_near_limit(tmp_path, 192.001)


def test_a_step_is_near_its_limit_when_another_second_like_the_last_would_reach_it(
    tmp_path: Path,
) -> None:
    assert is_near_limit(tmp_path, 20, 60, 100, 140)  # 116 are left, 120 were taken
    assert not is_near_limit(tmp_path, 40, 60, 100, 140)


def test_memory_that_was_taken_more_than_a_second_ago_is_no_haste(tmp_path: Path) -> None:
    assert is_near_limit(tmp_path, 20, *9 * [140])
    assert not is_near_limit(tmp_path, 20, *10 * [140])


def test_a_step_without_a_limit_is_never_near_it(tmp_path: Path) -> None:
    assert not is_near_limit(tmp_path, 20, 4000, limit="max\n")


@BOTH
def test_more_is_asked_for_as_long_as_a_step_is_near_its_limit(
    files: Mapping[str, str], tmp_path: Path
) -> None:
    root = cgroup(tmp_path, files)
    (root / next(iter(files))).write_text(f"{275 * MIB}\n")  # of which 195 MiB are no cache
    growth = Growth([256 * MIB])
    meter = UsageMeter(root, growth)
    meter.start()
    wait_until(lambda: growth.asked >= 2)
    meter.stop()


def test_nobody_is_asked_again_who_has_no_more_to_give(tmp_path: Path) -> None:
    root = cgroup(tmp_path, {**V2, "memory.stat": ""})
    (root / "memory.current").write_text(f"{250 * MIB}\n")
    growth = Growth([None])
    meter = UsageMeter(root, growth)
    meter.start()
    wait_until(lambda: growth.asked == 1)
    (root / "memory.current").write_text(f"{255 * MIB}\n")
    wait_until(lambda: meter._peak == 255 * MIB)
    assert meter._grow is None
    meter.stop()
    wait_until(lambda: not meter._thread.is_alive())
    assert growth.asked == 1


# --- Ends and gaps --------------------------------------------------------------------------------


def test_nobody_looks_any_more_once_it_was_stopped(tmp_path: Path) -> None:
    meter = UsageMeter(cgroup(tmp_path, V2))
    meter.start()
    meter.stop()
    wait_until(lambda: not meter._thread.is_alive())


def test_a_limit_that_grew_is_told_as_it_is_at_the_end(tmp_path: Path) -> None:
    meter = UsageMeter(cgroup(tmp_path, V2))
    (tmp_path / "memory.max").write_text(f"{512 * MIB}\n")
    assert meter.stop().memory_limit == 512 * MIB


def test_a_machine_that_tells_nothing_is_no_reason_to_fail(tmp_path: Path) -> None:
    meter = UsageMeter(tmp_path)
    meter.start()
    assert meter.stop() == Usage(None, None, None, 0)


@pytest.mark.parametrize(
    ("files", "without_memory"), [(V2, "memory.current"), (V1, "memory/memory.usage_in_bytes")]
)
def test_figures_that_are_missing_or_garbled_leave_the_others(
    files: Mapping[str, str], without_memory: str, tmp_path: Path
) -> None:
    root = cgroup(tmp_path, {**files, without_memory: "garbled\n"})
    assert UsageMeter(root).stop() == Usage(
        peak_memory=None, memory_limit=256 * MIB, cpu_seconds=1.5, oom_kills=1
    )
    cgroup(root, files)
    for name in files:
        if name != without_memory:
            (root / name).unlink()
    assert UsageMeter(root).stop() == Usage(
        peak_memory=200 * MIB, memory_limit=None, cpu_seconds=None, oom_kills=0
    )


@BOTH
def test_oom_kills_are_counted_without_a_meter(files: Mapping[str, str], tmp_path: Path) -> None:
    assert oom_kills(tmp_path) == 0
    assert oom_kills(cgroup(tmp_path, files)) == 1


def test_version_2_is_preferred_where_a_machine_has_both(tmp_path: Path) -> None:
    root = cgroup(tmp_path, {**V1, **V2, "memory.max": f"{512 * MIB}\n"})
    assert UsageMeter(root).stop().memory_limit == 512 * MIB


@BOTH
def test_more_memory_is_asked_for_when_less_than_a_quarter_is_left(
    files: Mapping[str, str], tmp_path: Path
) -> None:
    root = cgroup(tmp_path, files)
    asked: list[float] = []

    def grow() -> int:
        asked.append(time.monotonic())
        return 256 * MIB

    meter = UsageMeter(root, grow)
    meter.start()
    use(root, 180 * MIB)
    looks(meter, 3)
    assert not asked
    use(root, 200 * MIB)
    wait_until(lambda: len(asked) >= 2)
    meter.stop()
    assert asked[1] - asked[0] >= 0.4, "a request is not repeated at every look"


def test_nothing_more_is_asked_for_where_there_is_no_more(tmp_path: Path) -> None:
    root = cgroup(tmp_path, V2)
    asked: list[None] = []
    meter = UsageMeter(root, lambda: asked.append(None))
    use(root, 250 * MIB)
    meter.start()
    wait_until(lambda: len(asked) == 1)
    looks(meter, 10)
    meter.stop()
    assert len(asked) == 1


def test_more_memory_is_asked_for_when_it_goes_fast(tmp_path: Path) -> None:
    """Half of it is left, and a third of it was taken within the last second."""
    root = cgroup(tmp_path, V2)
    asked: list[int] = []
    meter = UsageMeter(root, lambda: asked.append(1) or 0)
    use(root, 20 * MIB)
    meter.start()
    looks(meter, 2)
    use(root, 140 * MIB)
    wait_until(lambda: bool(asked))
    meter.stop()


def test_the_peak_is_seen_while_an_answer_is_awaited(tmp_path: Path) -> None:
    root = cgroup(tmp_path, V2)
    asked, answered = threading.Event(), threading.Event()

    def grow() -> int:
        asked.set()
        answered.wait(10)
        return 0

    meter = UsageMeter(root, grow)
    use(root, 200 * MIB)
    meter.start()
    assert asked.wait(10)
    use(root, 250 * MIB)
    wait_until(lambda: meter._peak == 250 * MIB)
    use(root, 100 * MIB)
    answered.set()
    assert meter.stop().peak_memory == 250 * MIB
