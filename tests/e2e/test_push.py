"""`git push` deploys a code location, and nothing else; a bad push leaves the old one live."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.e2e import pods, registry
from tests.e2e.cluster import (
    BUILD,
    ApiException,
    create_namespace,
    delete_namespace,
    kubeconfig_with,
    status_of,
)
from tests.e2e.installation import HELLO, HELLO_NAMESPACE, PLATFORM
from tests.e2e.probe import Probe
from tests.e2e.push_repository import (
    DEFINITIONS,
    DEPENDENT,
    PUSHED,
    PushRepository,
    without_prefix,
)
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import Any

    from tests.e2e.cluster import Kube, Pod
    from tests.e2e.dagster_client import Dagster

LIVE_SECONDS = 60.0
"""Safety limit of a push with changed code. The measured figures are in the README."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def repository(registered: dict[str, Any], dagster: Dagster) -> PushRepository:
    """A repository whose two code locations are live."""
    assert {PUSHED, DEPENDENT} <= registered.keys()
    found = PushRepository(BUILD / "e2e" / "push")
    push = found.push(timeout=400)
    assert push.code == 0, push.output
    assert "deployed 2 of 2 code locations" in push.output, push.output
    dagster.loaded(PUSHED)
    dagster.loaded(DEPENDENT)
    return found


@pytest.fixture
def deployers_kubeconfig(kube: Kube, registered: dict[str, Any], tmp_path: Path) -> Iterator[Path]:
    """A kubeconfig with the token of the account that may deploy PUSHED."""
    account = registered[PUSHED]["deployers"][0]
    create_namespace(kube, account["namespace"])
    kube.core.create_namespaced_service_account(
        account["namespace"], {"metadata": {"name": account["name"]}}
    )
    token = kube.token_of(account["namespace"], account["name"])
    yield kubeconfig_with(token, tmp_path / "kubeconfig")
    delete_namespace(kube, account["namespace"])


@contextmanager
def nothing_else_changes(kube: Kube, dagster: Dagster) -> Generator[None]:
    """Assert that no other pod restarts, and that no request to the Dagster UI fails."""
    namespaces = (PLATFORM, HELLO_NAMESPACE, f"bulkhead-{DEPENDENT}")
    before = pods.long_lived(kube, *namespaces)
    jobs = {
        HELLO: (dagster.loaded(HELLO).jobs["hello_dagster"], "hello_dagster"),
        PUSHED: (dagster.loaded(PUSHED).jobs["sleepy"], "sleepy"),
    }
    with Probe(dagster.web_server, jobs) as probe:
        yield
    assert pods.long_lived(kube, *namespaces) == before
    assert probe.failures == []
    assert probe.answers > 10


def version(dagster: Dagster) -> str:
    """The version in the code that the Dagster UI shows."""
    return dagster.assets()["orders"].description


def image(kube: Kube) -> str:
    """The image of the code server that is live."""
    deployment = kube.apps.read_namespaced_deployment(PUSHED, f"bulkhead-{PUSHED}")
    return deployment.spec.template.spec.containers[0].image


def labels_of(pod: Pod) -> dict[str, str]:
    """The labels of a pod."""
    return pod.metadata.labels or {}


def deploys(kube: Kube) -> list[dict[str, Any]]:
    """The records of PUSHED, as `bulkhead history --json` prints them."""
    name = f"{PUSHED}-deploys"
    config_map = kube.core.read_namespaced_config_map(name, f"bulkhead-{PUSHED}")
    return json.loads(config_map.data["records.json"])


def test_a_change_is_live_and_nothing_else_restarts(
    kube: Kube, dagster: Dagster, repository: PushRepository
) -> None:
    repository.good("a change")
    with nothing_else_changes(kube, dagster):
        push = repository.push()
    print(push.output)
    assert push.code == 0
    assert version(dagster) == "a change"
    assert "code layer only" in push.output
    assert any("unchanged" in line for line in push.lines(DEPENDENT)), push.output
    assert f"undo: bulkhead rollback {PUSHED}" in push.output
    assert push.seconds < LIVE_SECONDS
    print(f"from push to live {push.seconds:.1f} s")
    [*_, last] = deploys(kube)
    assert (last["result"], last["by"]) == ("live", "Test Person")
    assert last["commit"] == repository.git("rev-parse", "HEAD")
    assert last["image"] == image(kube)


BAD = {
    "a syntax error": ("def broken(:\n", "SyntaxError"),
    "a failed import": ("import no_such_package\n", "No module named 'no_such_package'"),
    "an error at import": ("raise LookupError('WAREHOUSE_URL is not set')\n", "WAREHOUSE_URL"),
    "an exit at import": ("import os, sys\nprint('bye', flush=True)\nos._exit(3)\n", "3"),
    "a hang": ("import time\ntime.sleep(3600)\n", "did not load within"),
    "no memory": ("found = b'x' * (2 << 30)\n", "ran out of memory (OOM-killed)"),
}


@pytest.mark.parametrize(("code", "reason"), BAD.values(), ids=BAD.keys())
def test_a_push_of_bad_code_leaves_the_old_version_live(
    kube: Kube,
    dagster: Dagster,
    repository: PushRepository,
    code: str,
    reason: str,
) -> None:
    live, shown = image(kube), version(dagster)
    repository.code(code)
    with nothing_else_changes(kube, dagster):
        push = repository.push()
    print(push.output)
    assert push.code == 0, "the push itself is accepted"
    assert "✗ loads" in push.output
    assert reason in push.output
    assert f"failed: {PUSHED}" in push.output
    assert (image(kube), version(dagster)) == (live, shown)
    [*_, last] = deploys(kube)
    assert last["result"] == "failed"


def test_a_server_that_crashes_after_the_check_is_rolled_back(
    kube: Kube, dagster: Dagster, repository: PushRepository
) -> None:
    live, shown = image(kube), version(dagster)
    # Only in the code server: there the process serves, and does not report.
    repository.code(
        "import os, sys\nif 'api' in sys.argv:\n    print('no port', flush=True)\n    os._exit(4)\n"
        + DEFINITIONS.format(version="crashes")
    )
    with nothing_else_changes(kube, dagster):
        push = repository.push()
    print(push.output)
    assert "✗ live" in push.output
    assert (image(kube), version(dagster)) == (live, shown)


def test_a_lock_that_cannot_be_installed_is_reported_with_the_installers_words(
    kube: Kube, dagster: Dagster, repository: PushRepository
) -> None:
    live = image(kube)
    repository.good("another lock")
    lock = f"locations/{PUSHED}/requirements.lock"
    before = (repository.clone / lock).read_text()
    repository.write(lock, f"{before}no-such-package-of-bulkhead==1.0 --hash=sha256:{'0' * 64}\n")
    try:
        with nothing_else_changes(kube, dagster):
            push = repository.push()
    finally:
        repository.write(lock, before)
    print(push.output)
    assert "✗ image" in push.output
    assert "no-such-package-of-bulkhead" in push.output
    assert image(kube) == live


def test_two_pushes_at_once_end_with_the_newest(
    kube: Kube, dagster: Dagster, repository: PushRepository
) -> None:
    with nothing_else_changes(kube, dagster):
        repository.good("the first of two")
        repository.commit()
        first = repository.start_push()
        until(lambda: _lease(kube) or NotYet("no lease"), 60, "the first deploy to begin")
        repository.good("the second of two")
        second = repository.push()
        output, _ = first.communicate(timeout=240)
    print(without_prefix(output), second.output, sep="\n")
    assert version(dagster) == "the second of two"
    assert "waits for the deploy of Test Person" in second.output
    assert _lease(kube) is None


def test_a_killed_deploy_is_repaired_by_the_next_push(
    kube: Kube, dagster: Dagster, repository: PushRepository
) -> None:
    repository.good("killed")
    repository.commit()
    with nothing_else_changes(kube, dagster):
        process = repository.start_push()
        until(lambda: _lease(kube) or NotYet("no lease"), 60, "the deploy to begin")
        time.sleep(3)  # somewhere in the middle; each place must be repaired
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        repository.good("after the killed one")
        push = repository.push()
    print(push.output)
    assert version(dagster) == "after the killed one"


def test_a_rollback_makes_the_earlier_image_live_again(
    kube: Kube, dagster: Dagster, repository: PushRepository
) -> None:
    repository.good("to go back to")
    assert repository.push().code == 0
    repository.good("to undo")
    assert repository.push().code == 0
    assert version(dagster) == "to undo"
    with nothing_else_changes(kube, dagster):
        repository.bulkhead("rollback", PUSHED)
    assert version(dagster) == "to go back to"
    assert "rollback" in repository.bulkhead("history", PUSHED)


def test_a_push_that_removes_an_asset_that_others_use_says_so(
    kube: Kube, dagster: Dagster, repository: PushRepository
) -> None:
    code = repository.good("without weekly orders")
    repository.code(
        code.replace("def weekly_orders", "def monthly_orders").replace(
            ", weekly_orders", ", monthly_orders"
        )
    )
    with nothing_else_changes(kube, dagster):
        push = repository.push()
    print(push.output)
    assert "+1: monthly_orders" in push.output
    assert "weekly_orders" in push.output
    assert DEPENDENT in push.output
    assert version(dagster) == "without weekly orders", "a warning does not stop it"


def test_a_registry_that_is_away_for_half_a_minute_only_delays_a_push(
    dagster: Dagster, repository: PushRepository
) -> None:
    repository.good("after the registry was away")
    with registry.stopped():
        repository.commit()
        process = repository.start_push()
        time.sleep(30)
        assert process.poll() is None, "the push waits"
    output, _ = process.communicate(timeout=240)
    print(without_prefix(output))
    assert "Retrying" in output
    assert version(dagster) == "after the registry was away"


def test_a_quota_without_room_is_named_and_the_old_version_stays_live(
    kube: Kube, dagster: Dagster, repository: PushRepository
) -> None:
    live = image(kube)
    repository.good("has no room")
    namespace = f"bulkhead-{PUSHED}"
    quota = kube.core.read_namespaced_resource_quota("bulkhead", namespace).spec.hard
    # Room for the code server that is live, and for nothing else.
    kube.core.patch_namespaced_resource_quota(
        "bulkhead", namespace, {"spec": {"hard": {"pods": "1"}}}
    )
    try:
        with nothing_else_changes(kube, dagster):
            push = repository.push()
    finally:
        kube.core.patch_namespaced_resource_quota(
            "bulkhead", namespace, {"spec": {"hard": {"pods": quota["pods"]}}}
        )
    print(push.output)
    assert "✗ loads" in push.output
    assert "quota" in push.output
    assert image(kube) == live


@pytest.mark.timeout(900)
def test_a_backfill_goes_on_through_two_pushes_and_does_each_partition_once(
    kube: Kube, dagster: Dagster, repository: PushRepository
) -> None:
    repository.good("backfill begins")
    assert repository.push().code == 0
    partitions = [f"part-{number:02}" for number in range(30)]
    before = len(dagster.materializations("parts", limit=1000))
    backfill = dagster.backfill("parts", partitions)
    until(
        lambda: len(dagster.materializations("parts", limit=1000)) > before or NotYet("none"),
        120,
        "the first partition",
    )
    with nothing_else_changes(kube, dagster):
        repository.code("def broken(:\n")
        assert "✗ loads" in repository.push().output
        repository.good("backfill continues")
        push = repository.push()
    print(push.output)
    assert version(dagster) == "backfill continues"
    dagster.backfilled(backfill, timeout=500)
    made = dagster.materializations("parts", limit=1000)[: -before or None]
    assert sorted(each["partition"] for each in made) == partitions


def test_runs_that_run_or_wait_keep_their_image(
    kube: Kube, dagster: Dagster, repository: PushRepository
) -> None:
    repository.good("before the runs")
    assert repository.push().code == 0
    old = image(kube)
    runs = [dagster.launch(PUSHED, "sleepy") for _ in range(6)]
    repository.good("during the runs")
    with nothing_else_changes(kube, dagster):
        push = repository.push()
    print(push.output)
    assert version(dagster) == "during the runs"
    for run in runs:
        dagster.succeed(run, timeout=300)
    used = {
        container.image
        for pod in kube.core.list_namespaced_pod(f"bulkhead-{PUSHED}").items
        for container in pod.spec.containers
        if labels_of(pod).get("bulkhead.dev/run-id") in runs
    }
    assert used == {old}


def test_a_deployer_deploys_its_own_location_and_no_other(
    dagster: Dagster, repository: PushRepository, deployers_kubeconfig: Path
) -> None:
    repository.good("by a deployer")
    deploy = repository.start_bulkhead("deploy", PUSHED, kubeconfig=deployers_kubeconfig)
    output, _ = deploy.communicate(timeout=120)
    assert deploy.returncode == 0, output
    assert version(dagster) == "by a deployer"
    other = repository.start_bulkhead("deploy", DEPENDENT, kubeconfig=deployers_kubeconfig)
    output, _ = other.communicate(timeout=120)
    print(output)
    assert other.returncode == 1
    assert f"may not deploy {DEPENDENT}" in output


def test_a_branch_that_is_not_deployed_is_only_stored(
    kube: Kube, repository: PushRepository
) -> None:
    live = image(kube)
    repository.git("push", "cluster", "HEAD:refs/heads/idea")
    assert image(kube) == live


def _lease(kube: Kube) -> Any:
    path = f"/apis/coordination.k8s.io/v1/namespaces/bulkhead-{PUSHED}/leases/bulkhead-deploy"
    try:
        return kube.request("GET", path)
    except ApiException as error:
        if status_of(error) == 404:
            return None
        raise
