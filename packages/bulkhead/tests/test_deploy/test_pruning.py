"""Which images stay, with two environments over real registries."""

from dataclasses import replace
from typing import Any

import pytest
from packages.bulkhead.tests.small_image import pushed
from packages.bulkhead.tests.test_deploy.environment import Environment, make_live, write_shop

from bulkhead.deploy import records
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.helm import Revision
from bulkhead.deploy.lease import DeployLease
from bulkhead.deploy.pruning import LocationPlan, Pruning
from bulkhead.deploy.records import Record
from bulkhead.deploy.report import TextReport
from bulkhead.images import labels


@pytest.fixture
def shop(staging: Environment) -> Environment:
    write_shop(staging.clone)
    return staging


def images(environment: Environment, count: int) -> list[str]:
    """Push images as deploys leave them, the oldest first; return them as pods name them."""
    found: list[str] = []
    for number in range(count):
        for part in ("lock-l1", f"runtime-r{number}"):
            environment.push(part, name=part)
        digest = pushed(
            environment.registry,
            environment.repository,
            environment.folder,
            f"tree-{number:02}",
            name=f"image {number}",
            created=f"2025-11-28T11:{number:02}:00Z",
            labels={
                labels.COMMIT: f"commit{number}",
                labels.RUNTIME: f"r{number}",
                labels.LOCK: "l1",
            },
        )
        found.append(environment.image(digest))
    return found


def pruning(environment: Environment, *others: Environment, keep: int = 2) -> Pruning:
    return Pruning(environment.means(), [each.means() for each in others], keep=keep)


def kept(plan: LocationPlan) -> dict[str, str]:
    return {each.tag: each.kept for each in plan.rows if each.kept is not None}


def removed(plan: LocationPlan) -> list[str]:
    return [each.tag for each in plan.rows if each.kept is None]


def put(environment: Environment, kind: str, name: str, image: str, **others: Any) -> None:
    base = {"jobs": "/apis/batch/v1", "pods": "/api/v1"}[kind]
    spec = {"containers": [{"image": "busybox:1"}], "initContainers": [{"image": image}]}
    environment.store.put(
        f"{base}/namespaces/{environment.namespace}/{kind}/{name}",
        spec=spec if kind == "pods" else {"template": {"spec": spec}},
        **others,
    )


def record(environment: Environment, image: str, **others: Any) -> None:
    fields: dict[str, Any] = {
        "at": "2026-01-01T00:00:00Z",
        "by": "A Person",
        "action": "deploy",
        "commit": None,
        "image": image,
        "result": "live",
        "reason": None,
        "seconds": 1.0,
        "revision": 1,
    }
    given = Record(**{**fields, **others})
    records.add(environment.store.api, environment.namespace, "shop", given)


def test_the_newest_stay_and_the_others_go_with_their_parts(shop: Environment) -> None:
    images(shop, 4)
    plan = pruning(shop).plan("shop")
    newest = "one of the newest 2"
    assert kept(plan) == {"tree-03": newest, "tree-02": newest}
    assert removed(plan) == ["tree-01", "tree-00", "runtime-r0", "runtime-r1"]
    assert plan.removed == 4
    sizes = {each.tag: each.size for each in plan.rows}
    assert plan.freed_bytes == sum(sizes[tag] for tag in removed(plan))
    assert plan.rows[0].commit == "commit3"
    assert plan.repository == f"{shop.registry.host}/{shop.repository}"


def test_a_plan_changes_nothing(shop: Environment) -> None:
    images(shop, 4)
    before = shop.registry.tags(shop.repository)
    pruning(shop).plan("shop")
    assert shop.registry.tags(shop.repository) == before
    assert all(each.startswith("GET") for each in shop.store.requests)


def test_all_that_is_used_stays_with_the_reason(shop: Environment) -> None:
    live, waiting, job, ended, finished, rollback, gone, failed, _, _ = images(shop, 10)
    make_live(shop.store, "shop", shop.namespace, live)
    put(shop, "pods", "run", waiting, status={"phase": "Pending"})
    put(shop, "pods", "old", ended, status={"phase": "Succeeded"})
    put(shop, "jobs", "step", job, status={"active": 1})
    complete = {"type": "Complete", "status": "True"}
    put(shop, "jobs", "over", finished, status={"conditions": [complete]})
    shop.helm.revisions = [Revision(2, "superseded", ""), Revision(3, "deployed", "")]
    record(shop, gone, revision=1)
    record(shop, rollback, revision=2)
    record(shop, failed, revision=3, result="failed")
    plan = pruning(shop).plan("shop")
    assert kept(plan) == {
        "tree-09": "one of the newest 2",
        "tree-08": "one of the newest 2",
        "tree-05": "for a rollback",
        "tree-02": "a run or pod has it",
        "tree-01": "a run or pod has it",
        "tree-00": "live",
    }
    assert [tag for tag in removed(plan) if tag.startswith("tree-")] == [
        *("tree-07", "tree-06", "tree-04", "tree-03")
    ]


def test_an_image_that_a_pod_names_by_its_tag_stays(shop: Environment) -> None:
    images(shop, 4)
    name = f"registry.example/{shop.repository}:tree-00"
    put(shop, "pods", "by-hand", name, status={"phase": "Running"})
    assert kept(pruning(shop).plan("shop"))["tree-00"] == "a run or pod has it"


def test_what_another_environment_with_the_same_repository_uses_stays(
    shop: Environment, production: Environment
) -> None:
    oldest, *_ = images(shop, 4)
    production.registry, production.prefix = shop.registry, shop.prefix
    make_live(production.store, "shop", production.namespace, oldest)
    plan = pruning(shop, production).plan("shop")
    assert kept(plan)["tree-00"] == "live in production"
    production.prefix = "elsewhere"
    assert "tree-00" in removed(pruning(shop, production).plan("shop"))


@pytest.mark.parametrize(
    "path",
    [
        "/apis/batch/v1/namespaces/bulkhead-shop-production/jobs",
        "/api/v1/namespaces/bulkhead-shop-production/configmaps/shop-deploys",
    ],
)
def test_nothing_is_removed_if_an_environment_cannot_be_read(
    shop: Environment, production: Environment, path: str
) -> None:
    images(shop, 4)
    production.registry, production.prefix = shop.registry, shop.prefix
    production.store.refused.add(path)
    before = shop.registry.tags(shop.repository)
    for call in (pruning(shop, production).plan, pruning(shop, production).remove):
        with pytest.raises(StageError, match="What environment production uses is unknown"):
            call("shop")
    assert shop.registry.tags(shop.repository) == before


def test_a_removal_removes_what_the_plan_says_under_the_lock_of_every_environment(
    shop: Environment, production: Environment
) -> None:
    images(shop, 4)
    production.registry, production.prefix = shop.registry, shop.prefix
    locked: list[int] = []

    def on_line(line: str) -> None:
        stores = (shop.store, production.store)
        locked.append(sum(any("leases" in path for path in each.objects) for each in stores))
        shop.lines.append(line)

    planned = pruning(shop, production).plan("shop")
    means = replace(shop.means(), report=TextReport(["shop"], on_line))
    assert Pruning(means, [production.means()], keep=2).remove("shop") == planned
    assert shop.registry.tags(shop.repository) == [
        *("lock-l1", "runtime-r2", "runtime-r3", "tree-02", "tree-03")
    ]
    assert locked == [2, 2, 2, 2]
    assert "… remove    tree-01" in shop.output
    assert not any("leases" in path for path in shop.store.objects)


def test_one_place_with_two_names_is_locked_once(shop: Environment) -> None:
    images(shop, 3)
    assert removed(pruning(shop, shop).remove("shop")) == ["tree-00", "runtime-r0"]


def test_a_removal_waits_for_a_deploy(shop: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    images(shop, 3)
    monkeypatch.setattr("bulkhead.deploy.lock._TIMEOUT_SECONDS", 0.1)
    deploy = DeployLease(
        shop.store.api, shop.namespace, "A Deployer", timeout=1, on_wait=lambda _: None
    )
    with deploy, pytest.raises(StageError, match="not done after 0 s: A Deployer"):
        pruning(shop).remove("shop")
    assert "tree-00" in shop.registry.tags(shop.repository)


def test_an_environment_without_the_location_has_no_lock(
    shop: Environment, production: Environment
) -> None:
    images(shop, 3)
    production.registry, production.prefix = shop.registry, shop.prefix
    production.store.gone.add(
        f"/apis/coordination.k8s.io/v1/namespaces/{production.namespace}/leases"
    )
    assert removed(pruning(shop, production).remove("shop")) == ["tree-00", "runtime-r0"]


def test_a_location_that_was_never_deployed_has_nothing_to_remove(shop: Environment) -> None:
    plan = pruning(shop).plan("shop")
    assert (list(plan.rows), plan.freed_bytes) == ([], 0)
