"""The documents about deploys name settings, commands, options and permissions that exist."""

import ast
import inspect
import json
import re
import shlex
from pathlib import Path

import pytest
import tomllib
import yaml
from pydantic_core import PydanticUndefined

from bulkhead.cli import main
from bulkhead.deploy import settings
from bulkhead.deploy.settings import BASE_IMAGE, Settings

ROOT = Path(__file__).parents[4]
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
DOCUMENTS = sorted(ROOT.glob("docs/*.md"))
IDS = [path.name for path in DOCUMENTS]


def meanings() -> dict[str, str]:
    """Return the docstring of each setting."""
    [tree] = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(text.value, ast.Constant)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def default_text(value: object) -> str:
    if value in {None, ""} or value is PydanticUndefined:
        return ""
    if value == BASE_IMAGE:
        return "Python 3.11 on Debian 12, by digest"
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def reference() -> list[str]:
    """Return the rows of the table as they must be."""
    texts = meanings()
    return [
        f"| `{field.alias}` | {default_text(field.default)} | {texts[name]} |".replace(
            "|  |", "| |"
        )
        for name, field in Settings.model_fields.items()
    ]


def blocks(text: str, kind: str) -> list[str]:
    """Return the code blocks of a kind; an empty kind is output of a terminal."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def calls(text: str) -> list[str]:
    """Return the calls of bulkhead in code blocks."""
    lines = [
        line.split("#")[0].strip().removeprefix("$ ")
        for kind in ("sh", "")
        for block in blocks(text, kind)
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [line for line in lines if re.match(r"(\.venv/bin/)?bulkhead( |$)", line)]


def test_the_reference_has_every_setting_with_its_default_and_meaning() -> None:
    table = DEPLOY.partition("<!-- settings:")[2].partition("<!-- end of settings -->")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert rows == reference(), "\n" + "\n".join(reference())


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_call_of_bulkhead_has_a_command_and_options_that_exist(document: Path) -> None:
    for call in calls(document.read_text()):
        _, *words = shlex.split(call)
        if not words or words[0].startswith("-"):
            continue
        assert words[0] in main.commands, call
        main.commands[words[0]].make_context(words[0], words[1:])


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_example_of_settings_is_valid(document: Path) -> None:
    for block in blocks(document.read_text(), "toml"):
        tables = tomllib.loads(block)
        if tables.keys() <= {"deploy", "environments"}:
            for environment in (None, *tables.get("environments", {})):
                settings.read(
                    {document.name: block}, environment=environment, options={"registry": "r"}
                )


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_example_of_yaml_can_be_read(document: Path) -> None:
    for block in blocks(document.read_text(), "yaml"):
        assert list(yaml.safe_load_all(block))


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_permissions_are_those_of_the_role() -> None:
    role = ROOT / "charts/bulkhead/templates/code-locations/deployer-role.yaml"
    rules = re.findall(r"resources: \[(.*)\]\n\s+verbs: \[(.*)\]", role.read_text())
    granted = {
        resource: set(verbs.split(", ")) for names, verbs in rules for resource in names.split(", ")
    }
    words = {
        "create": {"create"},
        "read": {"get"},
        "change": {"patch"},
        "delete": {"delete"},
    }
    table = DEPLOY.partition("| object | verbs | for |")[2].partition("\n\n")[0]
    documented: dict[str, set[str]] = {}
    for objects, verbs in re.findall(r"^\| ([^|]+) \| ([^|]+) \|", table, flags=re.MULTILINE):
        for each in objects.lower().replace("logs of pods", "pods/log").split(", "):
            documented[each] = set().union(*(words[verb] for verb in verbs.split(", ")))
    documented.pop("---", None)
    assert documented == {
        resource: verbs & {"create", "get", "patch", "delete"}
        for resource, verbs in granted.items()
    }
