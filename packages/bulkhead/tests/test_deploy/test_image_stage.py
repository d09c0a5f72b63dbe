"""A deploy of an image that exists, against a real registry."""

from packages.bulkhead.tests.test_deploy.environment import Environment, tree_of, write_shop

from bulkhead.deploy import deploys, image_stage, records
from bulkhead.deploy.location import Outcome


def deploy(environment: Environment, image: str, *, again: bool = False) -> Outcome:
    means = environment.means()
    [target] = [each for each in environment.targets() if each.name == "shop"]
    stage = image_stage.existing_image(image)
    [outcome] = deploys.run(means, [target], are_named=True, again=again, image=stage)
    return outcome


def test_an_image_is_released_as_it_is_with_the_values_of_the_repository(
    staging: Environment, loads: list[str]
) -> None:
    commit = write_shop(staging.clone)
    image = staging.push("other", commit=commit, tree=tree_of(staging.clone))
    assert deploy(staging, image).result == "live", staging.output
    [release] = staging.helm.releases
    assert release.further_values == {
        "image": {
            "registry": "registry.example",
            "repository": staging.repository,
            "digest": image.partition("@")[2],
        },
        "release": {"commit": commit, "tree": tree_of(staging.clone), "deployedBy": "A Person"},
    }
    assert [path.name for path in release.values] == ["values.yaml"]
    assert loads == [image]
    [record] = records.read(staging.store.api, staging.namespace, "shop")
    assert (record.action, record.commit, record.image) == ("deploy", commit, image)
    assert "undo: bulkhead rollback shop --environment staging" in staging.output


def test_an_image_that_is_live_is_left_alone_unless_it_is_requested_again(
    staging: Environment, loads: list[str]
) -> None:
    write_shop(staging.clone)
    image = staging.push("other")
    assert deploy(staging, image).result == "live"
    assert deploy(staging, image).result == "unchanged"
    assert deploy(staging, image, again=True).result == "live"
    assert loads == [image, image]


def test_an_image_without_labels_is_recorded_without_a_commit(
    staging: Environment, loads: list[str]
) -> None:
    write_shop(staging.clone)
    image = staging.push("other")
    assert deploy(staging, image).result == "live", staging.output
    [record] = records.read(staging.store.api, staging.namespace, "shop")
    assert record.commit is None
    assert loads == [image]


def test_an_image_that_the_registry_lacks_changes_nothing(
    staging: Environment, loads: list[str]
) -> None:
    write_shop(staging.clone)
    image = staging.image(f"sha256:{'1' * 64}")
    outcome = deploy(staging, image)
    assert outcome.result == "failed"
    assert f"image: The registry does not have {image}" in str(outcome.reason)
    assert loads == []
    assert staging.helm.releases == []


def test_an_image_that_does_not_become_live_is_taken_back(
    staging: Environment, loads: list[str]
) -> None:
    write_shop(staging.clone)
    good, bad = staging.push("good"), staging.push("bad", name="two")
    staging.helm.broken.add(bad)
    assert deploy(staging, good).result == "live", staging.output
    assert deploy(staging, bad).result == "failed"
    assert staging.live_image() == good
    assert loads == [good, bad]
