"""What `bulkhead.dagster_compat` promises of the names that it lends."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bulkhead import dagster_compat

SOURCE = Path(dagster_compat.__file__)


def declared() -> dict[str, str]:
    """Return the names that type checkers see, each with the module that it comes from."""
    imports = [
        node
        for block in ast.parse(SOURCE.read_text()).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
    ]
    return {
        name.name: str(node.module)
        for node in imports
        for name in node.names
        if name.asname is not None
    }


def test_types_and_values_come_from_the_same_places() -> None:
    assert declared() == dagster_compat._MODULES


@pytest.mark.parametrize("name", sorted(dagster_compat._MODULES))
def test_a_name_is_what_dagster_has_under_it(name: str) -> None:
    module = importlib.import_module(dagster_compat._MODULES[name])
    assert getattr(dagster_compat, name) is getattr(module, name)


def test_every_name_is_used() -> None:
    others = [path for path in SOURCE.parent.rglob("*.py") if path != SOURCE]
    text = "\n".join(path.read_text() for path in others)
    wrapped = re.findall(r'__getattr__\("(\w+)"\)', SOURCE.read_text())
    unused = [name for name in dagster_compat._MODULES if name not in text]
    assert set(unused) <= set(wrapped)


def test_a_name_that_this_dagster_lacks_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(dagster_compat._MODULES, "Gone", "dagster._core.events")
    monkeypatch.setitem(dagster_compat._MODULES, "Moved", "dagster._core.gone_module")
    for name, place in (
        ("Gone", "dagster._core.events.Gone"),
        ("Moved", "dagster._core.gone_module.Moved"),
    ):
        with pytest.raises(dagster_compat.DagsterVersionError) as raised:
            getattr(dagster_compat, name)
        assert place in str(raised.value)
        assert dagster_compat.SUPPORTED_VERSIONS in str(raised.value)


def test_importing_it_imports_nothing_of_dagster() -> None:
    code = "import sys, bulkhead.dagster_compat; sys.exit('dagster' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
