"""How long a push takes until the new code is live."""

from __future__ import annotations

from tests.e2e.cluster import BUILD
from tests.e2e.push_repository import DEPENDENT, PUSHED, PushRepository

FOLDER = BUILD / "bench" / "push"
LOCATIONS = {name: {"namespace": f"bulkhead-{name}"} for name in (PUSHED, DEPENDENT)}


def measure(repeat: int) -> list[float]:
    """Return the seconds from `git push` to its end, of pushes that change one file of code.

    The platform must have registered LOCATIONS. Before the first measured push, both code locations
    are deployed, which builds the image of their packages.
    """
    repository = PushRepository(FOLDER)
    _push(repository)
    seconds: list[float] = []
    for number in range(repeat):
        repository.good(f"push {number}")
        seconds.append(_push(repository))
        print(f"push {number + 1}/{repeat}: {seconds[-1]:.1f} s")
    return seconds


def _push(repository: PushRepository) -> float:
    push = repository.push(timeout=600)
    assert push.code == 0, push.output
    assert "failed" not in push.output, push.output
    return push.seconds
