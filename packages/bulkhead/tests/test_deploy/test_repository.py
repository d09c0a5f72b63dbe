"""Snapshots, trees and clean copies, with real git repositories."""

import subprocess
from pathlib import Path

import pytest
from packages.bulkhead.tests.clone import Clone

from bulkhead.deploy.repository import Repository, RepositoryError


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_commit_is_exported_as_it_is_whatever_the_working_tree_has(
    clone: Clone, tmp_path: Path
) -> None:
    clone.write("code/a.py", "one")
    commit = clone.commit()
    clone.write("code/a.py", "two")
    clone.write("code/new.py", "new")
    repository = Repository(clone.folder)
    repository.export(repository.at(commit), "code", tmp_path / "out")
    assert files(tmp_path / "out") == {"a.py": "one"}


def test_the_working_tree_has_new_and_changed_files_but_no_ignored_ones(
    clone: Clone, tmp_path: Path
) -> None:
    clone.write(".gitignore", "*.log\n")
    clone.write("code/a.py", "one")
    clone.write("code/gone.py", "gone")
    commit = clone.commit()
    clone.write("code/a.py", "two")
    clone.write("code/new.py", "new")
    clone.write("code/noise.log", "noise")
    (clone.folder / "code/gone.py").unlink()
    repository = Repository(clone.folder)
    before = clone.git("status", "--porcelain")
    snapshot = repository.working_tree()
    repository.export(snapshot, "code", tmp_path / "out")
    assert files(tmp_path / "out") == {"a.py": "two", "new.py": "new"}
    assert (snapshot.commit, snapshot.has_changes) == (commit, True)
    assert clone.git("status", "--porcelain") == before


def test_a_clean_working_tree_is_the_commit(clone: Clone) -> None:
    clone.write("code/a.py", "one")
    commit = clone.commit()
    repository = Repository(clone.folder / "code")
    assert repository.working_tree() == repository.at(commit)


def test_a_repository_without_a_commit_can_be_deployed(clone: Clone, tmp_path: Path) -> None:
    clone.write("code/a.py", "one")
    repository = Repository(clone.folder)
    snapshot = repository.working_tree()
    repository.export(snapshot, "code", tmp_path / "out")
    assert files(tmp_path / "out") == {"a.py": "one"}
    assert repository.last_change(snapshot, "code") is None


def test_the_tree_of_a_folder_depends_on_nothing_outside_it(clone: Clone) -> None:
    clone.write("code/a.py", "one")
    clone.write("other/b.py", "one")
    first = clone.commit()
    clone.write("other/b.py", "two")
    second = clone.commit()
    clone.write("code/a.py", "two")
    third = clone.commit()
    repository = Repository(clone.folder)
    trees = [repository.tree_of(repository.at(each), "code") for each in (first, second, third)]
    assert trees[0] == trees[1] != trees[2]


def test_the_newest_commit_of_a_folder_is_found(clone: Clone) -> None:
    clone.write("code/a.py", "one")
    first = clone.commit()
    clone.write("other/b.py", "two")
    second = clone.commit()
    repository = Repository(clone.folder)
    change = repository.last_change(repository.at(second), "code")
    assert change is not None
    assert change.commit == first
    assert change.seconds == int(clone.git("log", "-1", "--format=%ct", first))


def test_a_bare_repository_is_read_as_a_clone_is(clone: Clone, tmp_path: Path) -> None:
    clone.write("code/a.py", "one")
    commit = clone.commit()
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(clone.folder), str(bare)], check=True)
    repository = Repository(bare)
    assert repository.is_bare
    assert repository.at("main").commit == commit
    repository.export(repository.at("main"), "code", tmp_path / "out")
    assert files(tmp_path / "out") == {"a.py": "one"}


def test_executables_and_links_keep_their_kind(clone: Clone, tmp_path: Path) -> None:
    clone.write("code/run.sh", "#!/bin/sh\n").chmod(0o755)
    (clone.folder / "code/link").symlink_to("run.sh")
    repository = Repository(clone.folder)
    repository.export(repository.at(clone.commit()), "code", tmp_path / "out")
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o100
    assert (tmp_path / "out/link").readlink() == Path("run.sh")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd"])
def test_a_link_that_leads_out_of_the_folder_is_refused(
    clone: Clone, tmp_path: Path, target: str
) -> None:
    clone.write("code/a.py", "one")
    (clone.folder / "code/link").symlink_to(target)
    repository = Repository(clone.folder)
    with pytest.raises(RepositoryError, match="Folder code cannot be deployed"):
        repository.export(repository.at(clone.commit()), "code", tmp_path / "out")


def test_changed_files_are_counted_if_both_trees_are_known(clone: Clone) -> None:
    clone.write("code/a.py", "one")
    clone.write("code/b.py", "one")
    first = clone.commit()
    clone.write("code/a.py", "two")
    second = clone.commit()
    repository = Repository(clone.folder)
    before, after = (repository.tree_of(repository.at(each), "code") for each in (first, second))
    assert repository.changed_files(before, after) == 1
    assert repository.changed_files("0" * 40, after) is None


def test_a_missing_folder_commit_or_repository_is_an_error(clone: Clone, tmp_path: Path) -> None:
    clone.write("code/a.py", "one")
    clone.commit()
    repository = Repository(clone.folder)
    with pytest.raises(RepositoryError):
        repository.tree_of(repository.at("main"), "missing")
    with pytest.raises(RepositoryError):
        repository.at("no-such-branch")
    outside = tmp_path / "outside"
    outside.mkdir()
    with pytest.raises(RepositoryError, match="not a git repository"):
        Repository(outside)
