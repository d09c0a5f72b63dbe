"""The lock of a code location: one holder at a time, and none for ever."""

import threading
import time
from typing import Any

import pytest
from packages.bulkhead.tests.kube_store import KubeStore
from packages.bulkhead.tests.waiting import wait_until

from bulkhead.deploy import lease
from bulkhead.deploy.lease import DeployLease, LeaseError

PATH = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/bulkhead-deploy"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "DURATION_SECONDS", 1)
    monkeypatch.setattr(lease, "_RENEWAL_SECONDS", 0.1)
    monkeypatch.setattr(lease, "_POLL_SECONDS", 0.02)


def deploy_lease(
    store: KubeStore, holder: str, waits_for: list[str] | None = None, timeout: float = 20
) -> DeployLease:
    on_wait = (waits_for if waits_for is not None else []).append
    return DeployLease(store.api, "shop", holder, timeout=timeout, on_wait=on_wait)


def holder(store: KubeStore) -> str:
    return store.objects[PATH]["spec"]["holderIdentity"]


def test_a_free_lock_is_taken_and_given_back(store: KubeStore) -> None:
    with deploy_lease(store, "first"):
        assert holder(store) == "first"
    assert PATH not in store.objects


def test_a_second_deploy_waits_for_the_first_and_names_it(store: KubeStore) -> None:
    waits_for: list[str] = []
    order: list[str] = []

    def second() -> None:
        with deploy_lease(store, "second", waits_for):
            order.append("second")

    thread = threading.Thread(target=second)
    with deploy_lease(store, "first"):
        thread.start()
        while not waits_for:
            time.sleep(0.01)
        time.sleep(2 * lease.DURATION_SECONDS)  # the first renews it, so it does not expire
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert waits_for == ["first"]


def test_the_lock_of_a_killed_deploy_expires(store: KubeStore) -> None:
    killed = deploy_lease(store, "killed")
    killed._acquire()  # and never renews it
    began = time.monotonic()
    with deploy_lease(store, "next"):
        assert holder(store) == "next"
    assert time.monotonic() - began >= lease.DURATION_SECONDS


def test_two_that_wait_for_an_expired_lock_do_not_both_get_it(store: KubeStore) -> None:
    deploy_lease(store, "killed")._acquire()
    inside = threading.Semaphore(1)
    clashes: list[str] = []

    def deploy(name: str) -> None:
        with deploy_lease(store, name):
            if not inside.acquire(blocking=False):
                clashes.append(name)
                return
            time.sleep(0.2)
            inside.release()

    threads = [threading.Thread(target=deploy, args=(f"deploy {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clashes == []


def test_a_wait_that_is_too_long_names_the_holder(store: KubeStore) -> None:
    with (
        deploy_lease(store, "first"),
        pytest.raises(LeaseError, match="not done after 0 s: first"),
        deploy_lease(store, "second", timeout=0.1),
    ):
        pytest.fail("both hold the lock")


def test_a_deploy_whose_lock_was_taken_over_notices_it(store: KubeStore) -> None:
    with deploy_lease(store, "first") as first:
        first.check()
        taken: dict[str, Any] = {**store.objects[PATH], "spec": {"holderIdentity": "other"}}
        store.answer("PUT", PATH, taken)
        wait_until(lambda: first._lost is not None)
        with pytest.raises(LeaseError, match="took over the lock"):
            first.check()
    assert holder(store) == "other"
