"""Promotions between two environments: two API servers, two registries, one git repository."""

import pytest
from packages.bulkhead.tests.test_deploy.environment import (
    Environment,
    make_live,
    tree_of,
    write_shop,
)

from bulkhead.deploy import promotion, records
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.location import Outcome

VALUES = (
    ("user_code/shop/values.staging.yaml", "env: [{name: PLACE, value: staging}]\n"),
    ("user_code/shop/values.production.yaml", "env: [{name: PLACE, value: production}]\n"),
)


def live_in(environment: Environment, *, tag: str = "tree-0123456789abcdef") -> tuple[str, str]:
    """Commit the code location, and have it live; return the image and the commit."""
    commit = write_shop(environment.clone, VALUES)
    image = environment.push(tag, commit=commit, tree=tree_of(environment.clone))
    make_live(environment.store, "shop", environment.namespace, image)
    return image, commit


def promote(staging: Environment, production: Environment) -> Outcome:
    return promotion.run(staging.means(), production.means(), "shop")


def refused(staging: Environment, production: Environment) -> str:
    with pytest.raises(StageError) as raised:
        promote(staging, production)
    assert production.helm.releases == []
    assert production.registry.tags(production.repository) == []
    return str(raised.value)


def test_the_live_digest_becomes_live_in_the_other_environment_with_its_values(
    staging: Environment, production: Environment, loads: list[str]
) -> None:
    image, commit = live_in(staging)
    # What the working tree has now does not count.
    staging.clone.write(VALUES[1][0], "env: [{name: PLACE, value: later}]\n")
    staging.clone.commit()
    production.others["values"] = ("values.yaml", "values.production.yaml")

    assert promote(staging, production).result == "live", production.output
    digest = image.partition("@")[2]
    assert production.live_image() == production.image(digest)
    assert production.registry.digest(production.repository, "tree-0123456789abcdef") == digest
    assert loads == [production.image(digest)]
    assert production.variables() == {"PLACE": "production"}
    [record] = records.read(production.store.api, production.namespace, "shop")
    assert (record.action, record.commit) == ("promote", commit)
    assert record.image == production.image(digest)
    assert f"of commit {commit[:12]}, live in staging" in production.output
    assert "MB sent" in production.output
    assert records.read(staging.store.api, staging.namespace, "shop") == []


def test_a_second_promotion_does_nothing(
    staging: Environment, production: Environment, loads: list[str]
) -> None:
    live_in(staging)
    assert promote(staging, production).result == "live", production.output
    assert promote(staging, production).result == "unchanged"
    assert len(loads) == 1


def test_nothing_is_copied_where_both_use_one_repository(
    staging: Environment, production: Environment, loads: list[str]
) -> None:
    image, _ = live_in(staging)
    production.registry, production.prefix = staging.registry, staging.prefix
    assert promote(staging, production).result == "live", production.output
    assert production.live_image() == image
    assert "MB sent" not in production.output
    assert loads == [image]


def test_an_image_without_a_tag_of_ours_gets_one(
    staging: Environment, production: Environment, loads: list[str]
) -> None:
    image, _ = live_in(staging, tag="by-hand")
    assert promote(staging, production).result == "live", production.output
    [tag] = production.registry.tags(production.repository)
    assert tag == f"copied-{image.partition('@sha256:')[2][:16]}"
    assert len(loads) == 1


def test_only_what_is_deployed_can_be_promoted(
    staging: Environment, production: Environment
) -> None:
    write_shop(staging.clone)
    assert "shop is not deployed in staging" in refused(staging, production)


def test_a_rollout_that_is_not_done_is_not_promoted(
    staging: Environment, production: Environment
) -> None:
    live_in(staging)
    path = f"/apis/apps/v1/namespaces/{staging.namespace}/deployments/shop"
    staging.store.objects[path]["status"]["availableReplicas"] = 0
    assert "is not live in staging yet" in refused(staging, production)


def test_a_commit_that_is_not_here_is_named(staging: Environment, production: Environment) -> None:
    write_shop(staging.clone)
    image = staging.push("tree-1", commit="abcdef" * 6 + "abcd", tree="1" * 40)
    make_live(staging.store, "shop", staging.namespace, image)
    message = refused(staging, production)
    assert "commit abcdefabcdef, which is not in this repository" in message
    assert "git fetch origin abcdefabcdef" in message


def test_files_that_were_not_committed_are_noticed(
    staging: Environment, production: Environment
) -> None:
    commit = write_shop(staging.clone)
    image = staging.push("tree-1", commit=commit, tree="1" * 40)
    make_live(staging.store, "shop", staging.namespace, image)
    assert "files that are not in a commit" in refused(staging, production)


def test_an_image_without_labels_is_not_promoted(
    staging: Environment, production: Environment
) -> None:
    write_shop(staging.clone)
    make_live(staging.store, "shop", staging.namespace, staging.push("tree-1"))
    message = refused(staging, production)
    assert "was not made by `bulkhead deploy`" in message
    assert "bulkhead deploy --image" in message


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("registry.example/shop:1", "has no digest"),
        (f"registry.example/shop@sha256:{'1' * 64}", "does not have"),
    ],
)
def test_an_image_that_is_not_certain_or_gone_is_not_promoted(
    staging: Environment, production: Environment, image: str, problem: str
) -> None:
    write_shop(staging.clone)
    staging.others["registry"] = "registry.example"
    make_live(staging.store, "shop", staging.namespace, image)
    assert problem in refused(staging, production)


def test_two_environments_that_are_one_place_are_refused(
    staging: Environment, production: Environment
) -> None:
    live_in(staging)
    production.store = staging.store
    production.others["namespace"] = staging.settings().namespace
    assert "Environments staging and production are the same" in refused(staging, production)


def test_a_failed_promotion_leaves_what_was_live(
    staging: Environment, production: Environment, loads: list[str]
) -> None:
    image, _ = live_in(staging)
    before = production.image(f"sha256:{'9' * 64}")
    production.helm.apply("shop", production.namespace, before, "an earlier deploy")
    promoted = production.image(image.partition("@")[2])
    production.helm.broken.add(promoted)
    outcome = promote(staging, production)
    assert outcome.result == "failed"
    assert loads == [promoted]
    [record] = records.read(production.store.api, production.namespace, "shop")
    assert (record.action, record.result) == ("promote", "failed")
    assert production.live_image() == before
