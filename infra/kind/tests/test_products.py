"""Products are cached under the hash of their inputs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bulkhead_kind import products


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_text("content")
    return folder


def test_same_inputs_have_the_same_key_wherever_they_are(sources: Path, tmp_path: Path) -> None:
    before = products.key("a", sources)
    moved = sources.rename(tmp_path / "elsewhere").rename(tmp_path / "sources")
    assert products.key("a", moved) == before


def change_content(folder: Path) -> None:
    (folder / "sub" / "file").write_text("other")


def change_name(folder: Path) -> None:
    (folder / "sub" / "file").rename(folder / "sub" / "other")


def change_mode(folder: Path) -> None:
    (folder / "sub" / "file").chmod(0o755)


def add_file(folder: Path) -> None:
    (folder / "new").write_text("")


@pytest.mark.parametrize(
    "change",
    [
        change_content,
        change_name,
        change_mode,
        add_file,
    ],
)
def test_a_change_of_an_input_changes_the_key(
    sources: Path, change: Callable[[Path], object]
) -> None:
    before = products.key(sources)
    change(sources)
    assert products.key(sources) != before


@pytest.mark.parametrize(
    "path", ["README.md", "tests/test_x.py", "__pycache__/x.pyc", ".ruff_cache/x"]
)
def test_files_that_do_not_affect_the_product_do_not_change_the_key(
    sources: Path, path: str
) -> None:
    before = products.key(sources)
    (sources / path).parent.mkdir(exist_ok=True)
    (sources / path).write_text("anything")
    assert products.key(sources) == before


def test_parts_do_not_run_into_each_other() -> None:
    assert products.key("ab", "c") != products.key("a", "bc")


def test_a_product_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "it").write_text("x")

    first = products.ensure(tmp_path, "thing", "k1", make)
    assert products.ensure(tmp_path, "thing", "k1", make) == first
    assert (first / "it").read_text() == "x"
    assert len(made) == 1


def test_a_new_product_replaces_the_one_of_old_inputs(tmp_path: Path) -> None:
    old = products.ensure(tmp_path, "thing", "k1", lambda _: None)
    new = products.ensure(tmp_path, "thing", "k2", lambda _: None)
    assert new.exists()
    assert not old.exists()


def test_an_incomplete_product_is_not_used(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        products.ensure(tmp_path, "thing", "k1", fail)
    made = products.ensure(tmp_path, "thing", "k1", lambda _: None)
    assert list(made.iterdir()) == []
