"""The commands on a deployer's machine: bulkhead.toml, and a kubeconfig with two clusters.

Helm is the one of `environment`; all else is real.
"""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from packages.bulkhead.tests.test_deploy.environment import (
    Environment,
    make_live,
    register,
    tree_of,
    write_shop,
)

from bulkhead.cli import main
from bulkhead.commands import deploy_target
from bulkhead.deploy.helm import Helm

DIGEST = f"sha256:{'1' * 64}"


class Machine:
    """A clone with two environments, and the commands in it."""

    def __init__(self, staging: Environment, production: Environment) -> None:
        self.folder = staging.clone.folder
        self.staging = staging
        self.production = production

    def run(self, *arguments: str) -> Result:
        given = [*arguments, "--directory", str(self.folder)]
        return CliRunner().invoke(main, given, catch_exceptions=False)


@pytest.fixture
def machine(
    staging: Environment,
    production: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loads: list[str],
) -> Machine:
    del loads
    environments = {each.name: each for each in (staging, production)}
    # The second one is small: another namespace of the same kind, values of its own.
    settings = "\n".join(
        f"""\
[environments.{name}]
context = "{name}"
namespace = "bulkhead-{{location}}-{name}"
registry = "registry.example/{each.prefix}"
push-to = "{each.registry.host}/{each.prefix}"
values = ["values.yaml", "values.{name}.yaml"]
"""
        for name, each in environments.items()
    )
    staging.clone.write("bulkhead.toml", f"[deploy]\nchart = 'chart'\nlive-seconds = 2\n{settings}")
    write_shop(staging.clone)
    clusters = [
        {"name": name, "cluster": {"server": each.store.api.address}}
        for name, each in environments.items()
    ]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": clusters,
        "users": [{"name": "test", "user": {}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": "test"}} for name in environments
        ],
        "current-context": "staging",
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(file))

    def helm(context: str | None) -> Helm:
        return environments[context or "staging"].helm

    monkeypatch.setattr(deploy_target, "Helm", helm)
    return Machine(staging, production)


def live_in_staging(machine: Machine) -> str:
    commit = machine.staging.clone.git("rev-parse", "HEAD")
    tree = tree_of(machine.staging.clone)
    image = machine.staging.push("tree-1", commit=commit, tree=tree)
    make_live(machine.staging.store, "shop", machine.staging.namespace, image)
    return image


def test_an_image_is_deployed_with_the_values_of_its_environment(machine: Machine) -> None:
    image = machine.staging.push("other")
    tagged = image.replace("@", ":other@")
    result = machine.run("deploy", "shop", "--image", tagged, "-e", "staging")
    assert result.exit_code == 0, result.output
    assert machine.staging.live_image() == image
    assert "undo: bulkhead rollback shop --environment staging" in result.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("shop", "--image", "r.example/shop:1"), "r.example/shop:1 has no digest"),
        (("shop", "--image", "r.example/Shop"), "not a valid name of an image"),
        (("--image", f"r.example/shop@{DIGEST}"), "--image needs one NAME"),
        (("shop", "--dry-run", "--check-only"), "Use only one of"),
        (("shop", "--no-check"), "only for --write-values"),
        (("--write-values", "values.yaml"), "values.yaml is one file for 2 code locations"),
    ],
)
def test_calls_that_are_not_valid_are_refused(
    machine: Machine, arguments: tuple[str, ...], problem: str
) -> None:
    machine.staging.clone.write("user_code/stock/pyproject.toml", "")
    result = machine.run("deploy", *arguments, "-e", "staging")
    assert result.exit_code == 2
    assert problem in " ".join(result.output.split())


def test_a_dry_run_says_what_would_be_done(machine: Machine) -> None:
    register(machine.staging.store, machine.staging.namespace)
    result = machine.run("deploy", "--dry-run", "-e", "staging")
    assert result.exit_code == 0, result.output
    assert "would be built: new packages" in result.output
    lines = [
        json.loads(line)
        for line in machine.run(
            "deploy", "--dry-run", "-e", "staging", "--json"
        ).output.splitlines()
    ]
    assert [each["result"] for each in lines[-1]["outcomes"]] == ["planned"]
    assert machine.staging.helm.releases == []


def test_values_are_written_without_a_kubeconfig(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    image = machine.staging.push("other")
    pattern = str(tmp_path / "{location}" / "values.yaml")
    arguments = ("deploy", "shop", "-e", "staging", "--image", image, "--write-values", pattern)
    result = machine.run(*arguments)
    assert result.exit_code == 0, result.output
    assert "The definitions are not checked, without a cluster: kubeconfig:" in result.output
    written = yaml.safe_load((tmp_path / "shop" / "values.yaml").read_text())
    assert written["image"]["digest"] == image.partition("@")[2]
    assert "not checked" not in machine.run(*arguments, "--no-check").output
    # A release needs a cluster.
    assert machine.run("deploy", "shop", "-e", "staging", "--image", image).exit_code == 2


def test_an_image_is_promoted(machine: Machine) -> None:
    image = live_in_staging(machine)
    result = machine.run("promote", "shop", "--from", "staging", "--to", "production")
    assert result.exit_code == 0, result.output
    assert machine.production.live_image() == machine.production.image(image.partition("@")[2])
    assert "undo: bulkhead rollback shop --environment production" in result.output
    shown = machine.run("history", "shop", "-e", "production", "--json")
    assert [each["action"] for each in json.loads(shown.output)] == ["promote"]


def test_a_promotion_that_is_refused_exits_with_1(machine: Machine) -> None:
    result = machine.run("promote", "shop", "--from", "staging", "--to", "production")
    assert result.exit_code == 1
    assert "shop is not deployed in staging (namespace bulkhead-shop-staging)" in result.output
    assert "Nothing was changed." in result.output


@pytest.mark.parametrize(
    ("name", "source", "target", "problem"),
    [
        ("shop", "staging", "staging", "--from and --to are both staging"),
        ("shop", "staging", "prod", "There is no environment 'prod'"),
        ("shops", "staging", "production", "There is no code location 'shops'"),
    ],
)
def test_names_that_do_not_exist_are_refused(
    machine: Machine, name: str, source: str, target: str, problem: str
) -> None:
    result = machine.run("promote", name, "--from", source, "--to", target)
    assert result.exit_code == 2
    assert problem in " ".join(result.output.split())


def test_images_are_removed_only_with_delete(machine: Machine) -> None:
    for number in range(3):
        machine.staging.push(f"tree-{number}", name=f"image {number}")
    arguments = ("images", "prune", "-e", "staging", "--keep", "1")
    result = machine.run(*arguments)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0].split() == [
        *("LOCATION", "TAG", "IMAGE", "COMMIT", "CREATED", "SIZE", "PLAN")
    ]
    assert "Would remove 2 images" in result.output
    assert len(machine.staging.registry.tags(machine.staging.repository)) == 3
    [plan] = json.loads(machine.run(*arguments, "--json").output)["locations"]
    assert [each["kept"] for each in plan["rows"]] == ["one of the newest 1", None, None]
    result = machine.run(*arguments, "--delete")
    assert "Removed 2 images" in result.output
    assert machine.staging.registry.tags(machine.staging.repository) == ["tree-0"]
    assert "There is nothing to remove." in machine.run(*arguments).output


def test_a_prune_reads_every_environment_that_has_the_same_images(machine: Machine) -> None:
    toml = machine.folder / "bulkhead.toml"
    staging, production = (
        f"{each.registry.host}/{each.prefix}" for each in (machine.staging, machine.production)
    )
    toml.write_text(toml.read_text().replace(production, staging))
    machine.staging.push("tree-0", name="image 0")
    old = machine.staging.push("tree-1", name="image 1")
    make_live(machine.production.store, "shop", machine.production.namespace, old)
    result = machine.run("images", "prune", "-e", "staging", "--keep", "1", "--delete")
    assert result.exit_code == 0, result.output
    assert "stays: live in production" in " ".join(result.output.split())
    machine.production.store.refused.add(f"/api/v1/namespaces/{machine.production.namespace}/pods")
    result = machine.run("images", "prune", "-e", "staging", "--keep", "1", "--delete")
    assert result.exit_code == 1
    assert "What environment production uses is unknown" in result.output
    assert "nothing to remove" not in result.output
    assert len(machine.staging.registry.tags(machine.staging.repository)) == 2
