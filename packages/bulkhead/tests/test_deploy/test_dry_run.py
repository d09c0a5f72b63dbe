"""What a dry run says, and that it changes nothing."""

from pathlib import Path

import pytest
from packages.bulkhead.tests.test_deploy.environment import (
    Environment,
    register,
    tree_of,
    write_shop,
)

from bulkhead.deploy import build, dry_run
from bulkhead.deploy.dry_run import Order
from bulkhead.deploy.helm import Revision
from bulkhead.deploy.location import Outcome
from bulkhead.images import packages
from bulkhead.images.code import LOCK
from bulkhead.images.keys import Keys


def keys(environment: Environment) -> Keys:
    """The keys of shop as it is in the working tree."""
    means = environment.means()
    tree = means.repository.tree_of(means.snapshot(), "user_code/shop")
    lock = environment.clone.folder / "user_code/shop" / LOCK
    library = environment.clone.folder / "library"
    return Keys.of(lock, means.settings.base_image, library, tree)


def plan(environment: Environment, order: Order | None = None) -> Outcome:
    before = dict(environment.store.objects)
    tags = environment.registry.tags(environment.repository)
    environment.lines.clear()
    [outcome] = dry_run.run(environment.means(), environment.targets(), order or Order())
    assert all(each.startswith("GET") for each in environment.store.requests)
    assert environment.store.objects == before
    assert environment.registry.tags(environment.repository) == tags
    assert environment.helm.releases == []
    return outcome


@pytest.fixture
def shop(staging: Environment) -> Environment:
    """The code location, registered and not deployed; the source of bulkhead is in `library`."""
    register(staging.store, staging.namespace)
    staging.others["library"] = "library"
    write_shop(staging.clone, [("library/pyproject.toml", "[project]\nname = 'bulkhead'\n")])
    return staging


@pytest.mark.parametrize(
    ("existing", "text"),
    [
        (None, "would be built: new packages"),
        ("lock_tag", "would be built: bulkhead and code layers"),
        ("runtime_tag", "would be built: code layer only"),
    ],
)
def test_the_lowest_missing_part_of_the_image_is_named(
    shop: Environment, existing: str | None, text: str
) -> None:
    if existing:
        shop.push(getattr(keys(shop), existing))
    outcome = plan(shop)
    assert (outcome.result, outcome.image) == ("planned", None), shop.output
    assert "would be deployed for the first time" in shop.output
    assert text in shop.output
    assert "would deploy 1 of 1 code locations · nothing was changed" in shop.output


def test_an_image_that_exists_is_named_with_the_release(shop: Environment) -> None:
    image = shop.push(keys(shop).tree_tag)
    outcome = plan(shop)
    assert outcome.image == image
    assert f"{image.partition('/')[2][:-52]}… exists" in shop.output
    text = f"would be revision 1 in namespace {shop.namespace}: chart chart, values.yaml"
    assert text in shop.output


def test_what_is_live_is_unchanged_unless_all_is_requested(shop: Environment) -> None:
    image = shop.push(keys(shop).tree_tag)
    shop.helm.apply("shop", shop.namespace, image, "one")
    assert plan(shop).result == "unchanged"
    assert "shop" in shop.output
    assert plan(shop, Order(again=True)).result == "planned"
    assert "is live, and would be released again" in shop.output
    assert "would be revision 2" in shop.output


def test_files_that_differ_from_what_is_live_are_counted(shop: Environment) -> None:
    image = shop.push("old", tree=tree_of(shop.clone))
    shop.helm.apply("shop", shop.namespace, image, "one")
    shop.clone.write("user_code/shop/new.py", "")
    shop.clone.write("user_code/shop/values.yaml", "definitions: {module: shop}\n")
    plan(shop)
    assert "2 files differ" in shop.output
    # Of a tree that is not in this repository nothing is known.
    unknown = shop.push("unknown", tree="1" * 40, name="two")
    shop.helm.apply("shop", shop.namespace, unknown, "two")
    plan(shop)
    assert "files differ" not in shop.output
    assert "would replace" in shop.output


def test_values_that_the_chart_rejects_are_found_before_anything_is_built(
    shop: Environment,
) -> None:
    shop.clone.write("user_code/shop/values.yaml", "codeServer: {replicas: 2}\n")
    outcome = plan(shop)
    assert outcome.result == "failed"
    assert "values: `helm template` failed" in str(outcome.reason)
    assert "would fail: shop" in shop.output


def test_a_revision_that_was_interrupted_would_be_repaired(shop: Environment) -> None:
    shop.helm.revisions = [Revision(1, "deployed", ""), Revision(2, "pending-upgrade", "")]
    plan(shop)
    assert "would repair revision 2, which was interrupted" in shop.output


def test_a_location_that_is_not_registered_is_left_out_unless_it_was_named(
    staging: Environment,
) -> None:
    write_shop(staging.clone)
    assert plan(staging).result == "not registered"
    assert "left out" in staging.output
    assert plan(staging, Order(are_named=True)).result == "failed"
    assert f"There is no namespace {staging.namespace}" in staging.output


def test_an_image_that_was_named_is_not_built(shop: Environment) -> None:
    image = shop.push("other")
    outcome = plan(shop, Order(image=image))
    assert (outcome.result, outcome.image) == ("planned", image)
    missing = shop.image(f"sha256:{'1' * 64}")
    assert "does not have" in str(plan(shop, Order(image=missing)).reason)


def test_the_plan_uses_the_keys_of_the_build(
    shop: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A build after the plan finds the same tag: the image is not made."""
    shop.push(keys(shop).tree_tag)
    monkeypatch.setattr(packages, "build_and_push", lambda *_, **__: pytest.fail("built"))
    means = shop.means()
    [target] = shop.targets()
    exported = build.export(means.repository, means.settings, target, means.snapshot(), tmp_path)
    built = build.ensure_image(means.settings, exported, lambda _: None)
    assert built.work == "nothing"
    assert built.reference == plan(shop).image
