"""Values files for tools that release what git has."""

from pathlib import Path

import pytest
import yaml
from packages.bulkhead.tests.test_deploy.environment import (
    VALUES,
    Environment,
    tree_of,
    write_shop,
)

from bulkhead.deploy import image_stage, values_file
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.location import Outcome
from bulkhead.kube.api import KubernetesApi

NEW = {
    "image": {"registry": "r.example:5000", "repository": "data/shop", "digest": "sha256:2"},
    "release": {"commit": "c", "tree": "t"},
}


def test_a_new_file_has_the_image_and_what_it_was_made_of(tmp_path: Path) -> None:
    file = tmp_path / "new" / "shop.yaml"
    values_file.update(file, NEW)
    assert yaml.safe_load(file.read_text()) == NEW


def test_other_keys_comments_and_the_layout_of_a_file_stay(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    before = """\
# Values of shop, read by Argo CD.
definitions: {module: shop.definitions}  # one of three

image:
  registry: r.example:5000
  repository: "data/shop"
  # The tool writes this.
  digest: sha256:1
  pullPolicy: Always
env:
  - name: A
    value: "1"

  - {name: B, value: 'a long value that another program would fold into several lines, but not we'}
"""
    file.write_text(before)
    values_file.update(file, NEW)
    after = before.replace("sha256:1", "sha256:2")
    assert file.read_text() == f"{after}release:\n  commit: c\n  tree: t\n"


@pytest.mark.parametrize("indent", [2, 4])
def test_the_indentation_of_a_file_stays(tmp_path: Path, indent: int) -> None:
    file = tmp_path / "shop.yaml"
    space = " " * indent
    before = f"codeServer:\n{space}resources:\n{space * 2}limits: {{cpu: 1}}\nenv: []\n"
    file.write_text(before)
    values_file.update(file, NEW)
    assert file.read_text().startswith(before)


def test_a_tag_that_would_name_another_image_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("image: {repository: shop, tag: '1'}\n")
    values_file.update(file, NEW)
    assert yaml.safe_load(file.read_text())["image"] == NEW["image"]


def test_a_file_that_has_the_values_already_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    values_file.update(file, NEW)
    before = file.stat().st_mtime_ns
    values_file.update(file, NEW)
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("text", "problem"), [("- a\n", "no keys at its top"), ("a: [\n", "cannot be read")]
)
def test_what_is_not_a_values_file_is_left_alone(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(text)
    with pytest.raises(StageError, match=problem):
        values_file.update(file, NEW)
    assert file.read_text() == text


def write(
    environment: Environment,
    image: str,
    pattern: Path,
    *,
    check: bool = True,
    api: KubernetesApi | None = None,
) -> Outcome:
    means = environment.means(api=api)
    stage = image_stage.existing_image(image)
    [outcome] = values_file.run(
        means, environment.targets(), str(pattern), check=check, image=stage
    )
    return outcome


def test_the_image_is_checked_and_written_and_nothing_is_released(
    staging: Environment, loads: list[str], tmp_path: Path
) -> None:
    commit = write_shop(staging.clone)
    tree = tree_of(staging.clone)
    image = staging.push("one", commit=commit, tree=tree)
    outcome = write(staging, image, tmp_path / "{location}.yaml")
    assert (outcome.result, outcome.image) == ("written", image), staging.output
    written = yaml.safe_load((tmp_path / "shop.yaml").read_text())
    assert written["image"]["digest"] == image.partition("@")[2]
    assert written["release"] == {"commit": commit, "tree": tree}
    assert f"{tmp_path}/shop.yaml: image {image}, commit {commit}, tree {tree}" in staging.output
    assert loads == [image]
    assert staging.helm.releases == []
    assert all(each.startswith("GET") for each in staging.store.requests)


def test_the_file_has_values_that_the_chart_accepts(staging: Environment, loads: list[str]) -> None:
    commit = write_shop(staging.clone)
    image = staging.push("one", commit=commit, tree=tree_of(staging.clone))
    file = staging.clone.folder / "user_code/shop/image.yaml"
    assert write(staging, image, file).result == "written", staging.output
    means = staging.means(values=("values.yaml", "image.yaml"))
    target = staging.targets()[0]
    assert target.folder == "user_code/shop"
    rendered = staging.render(means, target)
    assert rendered["spec"]["template"]["spec"]["containers"][0]["image"] == image
    assert loads == [image]


def test_definitions_that_do_not_load_are_not_written(
    staging: Environment, fails: str, tmp_path: Path
) -> None:
    write_shop(staging.clone)
    file = tmp_path / "shop.yaml"
    file.write_text(VALUES)
    outcome = write(staging, staging.push("one"), file)
    assert outcome.result == "failed"
    assert fails in str(outcome.reason)
    assert file.read_text() == VALUES
    assert f"{file} was not changed." in staging.output


def test_without_a_cluster_the_file_is_written_with_a_warning(
    staging: Environment, loads: list[str], tmp_path: Path
) -> None:
    write_shop(staging.clone)
    nowhere = KubernetesApi("http://127.0.0.1:1")
    outcome = write(staging, staging.push("one"), tmp_path / "shop.yaml", api=nowhere)
    assert outcome.result == "written", staging.output
    assert "! loads     The definitions are not checked, without a cluster" in staging.output
    assert loads == []


def test_a_cluster_that_rejects_the_account_is_an_error(
    staging: Environment, loads: list[str], tmp_path: Path
) -> None:
    write_shop(staging.clone)
    staging.store.refused.add(f"/apis/apps/v1/namespaces/{staging.namespace}/deployments/shop")
    outcome = write(staging, staging.push("one"), tmp_path / "shop.yaml")
    assert outcome.result == "failed"
    assert "use --no-check" in str(outcome.reason)
    assert not (tmp_path / "shop.yaml").exists()
    without = write(staging, staging.push("one"), tmp_path / "shop.yaml", check=False)
    assert without.result == "written"
    assert loads == []
