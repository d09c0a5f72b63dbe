"""The git repository that is deployed: its trees, its commits, and clean copies of folders."""

import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class RepositoryError(Exception):
    """git failed, or the folder or commit is not there; `str()` has git's own message."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of a repository at one moment.

    Attributes:
        tree: git's id of the root tree. It depends on the content alone.
        commit: The commit, or the one below uncommitted changes; None before the first commit.
        has_changes: Whether the tree differs from the commit's.
    """

    tree: str
    commit: str | None
    has_changes: bool = False

    @property
    def name(self) -> str:
        """The commit, shortened, as people read it."""
        commit = self.commit[:12] if self.commit else "no commit"
        return f"{commit} and uncommitted changes" if self.has_changes else commit


@dataclass(frozen=True, slots=True)
class Change:
    """The newest commit that changed a folder, and its time in seconds since the epoch."""

    commit: str
    seconds: int


class Repository:
    """A git repository, with a working tree or bare."""

    def __init__(self, folder: Path) -> None:
        """Find the repository around a folder.

        Raises:
            RepositoryError: There is none, or git is not installed.
        """
        self._folder = folder.resolve()
        self.is_bare = self._git("rev-parse", "--is-bare-repository") == "true"
        self.root = (
            self._folder if self.is_bare else Path(self._git("rev-parse", "--show-toplevel"))
        )

    def at(self, commit: str) -> Snapshot:
        """Return the content of a commit or branch; raises RepositoryError if it is not there."""
        found = self._git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
        return Snapshot(self._git("rev-parse", f"{found}^{{tree}}"), found)

    def working_tree(self) -> Snapshot:
        """Return the content of the working tree, with new files, without ignored ones.

        The index and the files stay as they are.
        """
        with tempfile.TemporaryDirectory(prefix="bulkhead-index-") as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            commit = self._head()
            if commit:
                self._git("read-tree", commit, environment=index)
            self._git("add", "--all", ":/", environment=index)
            tree = self._git("write-tree", environment=index)
        unchanged = commit is not None and self._git("rev-parse", f"{commit}^{{tree}}") == tree
        return Snapshot(tree, commit, has_changes=not unchanged)

    def folders(self, snapshot: Snapshot, marker: str) -> list[str]:
        """Return the folders of a snapshot that contain a file named `marker`, in order.

        The root folder is `.`.
        """
        listing = self._git("ls-tree", "-r", "-z", "--name-only", snapshot.tree)
        paths = [Path(path) for path in listing.split("\0") if path]
        return sorted(str(path.parent) for path in paths if path.name == marker)

    def tree_of(self, snapshot: Snapshot, folder: str) -> str:
        """Return git's id of a folder's tree; raises RepositoryError if it is not there."""
        inside = "" if folder == "." else folder
        return self._git("rev-parse", "--verify", "--quiet", f"{snapshot.tree}:{inside}")

    def text(self, snapshot: Snapshot, path: str) -> str:
        """Return the text of a file of a snapshot; raises RepositoryError if it is not there."""
        return self._git("show", f"{snapshot.tree}:{path}")

    def last_change(self, snapshot: Snapshot, folder: str) -> Change | None:
        """Return the newest commit that changed a folder; None before the first commit."""
        if snapshot.commit is None:
            return None
        found = self._git("log", "-1", "--format=%H %ct", snapshot.commit, "--", folder)
        commit, _, seconds = found.partition(" ")
        return Change(commit, int(seconds)) if seconds else None

    def committer(self, snapshot: Snapshot) -> str:
        """Return the name of the person who made the commit of a snapshot."""
        return self._git("log", "-1", "--format=%cn", str(snapshot.commit))

    def changed_files(self, before: str, after: str) -> int | None:
        """Return how many files differ between two trees; None if one is not in the repository."""
        try:
            return len(self._git("diff", "--name-only", before, after).splitlines())
        except RepositoryError:
            return None

    def export(self, snapshot: Snapshot, folder: str, to: Path) -> None:
        """Write a folder's files below `to`, without anything of git.

        Raises:
            RepositoryError: git cannot read the folder, or it has a file that points outside.
        """
        archive = self._run("archive", "--format=tar", self.tree_of(snapshot, folder))
        to.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            try:
                tar.extractall(to, filter="data")
            except tarfile.FilterError as error:
                raise RepositoryError(
                    f"Folder {folder} cannot be deployed: {error}. Remove the file or the link."
                ) from error

    def config(self, name: str) -> str | None:
        """Return a setting of git, such as `user.name`; None if it is not set."""
        try:
            return self._git("config", name) or None
        except RepositoryError:
            return None

    def _head(self) -> str | None:
        try:
            return self._git("rev-parse", "--verify", "--quiet", "HEAD")
        except RepositoryError:
            return None

    def _git(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        return self._run(*arguments, environment=environment).decode(errors="replace").strip()

    def _run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> bytes:
        command: Sequence[str] = ["git", "-C", str(self._folder), *arguments]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise RepositoryError("git is not installed. Install it.") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise RepositoryError(f"`git {' '.join(arguments)}` failed in {self._folder}: {said}")
        return done.stdout
