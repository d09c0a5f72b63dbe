"""What is removed from the repository of a code location, in a real registry."""

from pathlib import Path

import pytest
from packages.bulkhead.tests.small_image import pushed

from bulkhead.images import compose, labels, layer, prune
from bulkhead.images.target import Target
from bulkhead.registry.client import Registry


class Repository:
    """A repository with images as deploys leave them."""

    def __init__(self, registry: Registry, name: str, folder: Path) -> None:
        self.registry = registry
        self.name = name
        self._folder = folder

    def add(self, number: int, runtime: str = "r1", lock: str = "l1") -> str:
        """Add the image of a commit at a time; return its digest."""
        for tag in (f"lock-{lock}", f"runtime-{runtime}"):
            pushed(self.registry, self.name, self._folder, tag, name=tag)
        base = self.registry.image(self.name, f"runtime-{runtime}")
        assert base is not None
        root = self._folder / f"root-{number}"
        root.mkdir()
        (root / "code.py").write_text(str(number))
        packed = layer.pack(root, self._folder / f"layer-{number}")
        self.registry.push_blob(self.name, packed.file)
        made = compose.append(
            base,
            packed,
            created=f"2025-11-28T11:{number:02}:00Z",
            created_by="test",
            labels={
                labels.TREE: f"tree{number}",
                labels.COMMIT: f"commit{number}",
                labels.RUNTIME: runtime,
                labels.LOCK: lock,
            },
        )
        return self.registry.push_image(self.name, made, f"tree-{number}")

    @property
    def tags(self) -> list[str]:
        return self.registry.tags(self.name)

    def plan(self, used: set[str] | None = None, keep: int = 2) -> prune.Plan:
        return prune.plan(self.registry, self.name, used=used or set(), keep=keep)


@pytest.fixture
def repository(registry: Registry, target: Target, tmp_path: Path) -> Repository:
    return Repository(registry, target.push_reference("sales").repository, tmp_path)


def _names(images: tuple[prune.TreeImage, ...]) -> list[str]:
    return [image.tag for image in images]


def test_the_newest_stay_whatever_their_tags_are(repository: Repository) -> None:
    for number in (3, 1, 4, 2):
        repository.add(number)
    planned = repository.plan()
    assert _names(planned.kept) == ["tree-4", "tree-3"]
    assert _names(planned.removed) == ["tree-2", "tree-1"]
    assert planned.removed_parts == ()
    assert planned.kept[0].labels.commit == "commit4"


def test_a_plan_changes_nothing_and_its_removal_only_what_it_names(repository: Repository) -> None:
    digests = [repository.add(number) for number in range(4)]
    before = repository.tags
    planned = repository.plan()
    assert repository.tags == before
    reports: list[str] = []
    prune.remove(repository.registry, planned, reports.append)
    assert repository.tags == ["lock-l1", "runtime-r1", "tree-2", "tree-3"]
    assert reports == ["tree-1", "tree-0"]
    assert repository.registry.digest(repository.name, digests[0]) is None
    assert repository.registry.image(repository.name, digests[3]) is not None
    assert repository.plan().removed == ()


def test_a_used_image_stays_although_it_is_old(repository: Repository) -> None:
    digests = [repository.add(number) for number in range(4)]
    planned = repository.plan(used={digests[0], f"sha256:{'0' * 64}"})
    assert _names(planned.kept) == ["tree-3", "tree-2", "tree-0"]
    assert _names(planned.removed) == ["tree-1"]


def test_an_image_with_a_tag_of_a_person_stays(repository: Repository) -> None:
    repository.add(1)
    old = repository.registry.image(repository.name, "tree-1")
    assert old is not None
    repository.registry.push_image(repository.name, old, "production")
    repository.add(2)
    repository.add(3)
    planned = repository.plan(keep=1)
    assert _names(planned.kept) == ["tree-3", "tree-1"]
    prune.remove(repository.registry, planned, lambda _: None)
    assert "production" in repository.tags


def test_parts_go_with_the_last_image_that_needs_them(repository: Repository) -> None:
    repository.add(1, runtime="r1", lock="l1")
    repository.add(2, runtime="r2", lock="l1")
    repository.add(3, runtime="r3", lock="l3")
    planned = repository.plan(keep=2)
    assert [part.tag for part in planned.removed_parts] == ["runtime-r1"]
    planned = repository.plan(keep=1)
    assert [part.tag for part in planned.removed_parts] == ["lock-l1", "runtime-r1", "runtime-r2"]
    prune.remove(repository.registry, planned, lambda _: None)
    assert repository.tags == ["lock-l3", "runtime-r3", "tree-3"]
    kept = repository.registry.image(repository.name, "tree-3")
    assert kept is not None
    assert all(repository.registry.has_blob(repository.name, each.digest) for each in kept.layers)


def test_layers_that_a_kept_image_has_free_no_space(repository: Repository) -> None:
    repository.add(1, runtime="r1", lock="l1")
    repository.add(2, runtime="r1", lock="l1")
    [removed] = repository.plan(keep=1).removed
    base, own = removed.layers
    assert base.size > 0
    assert repository.plan(keep=1).freed_bytes == own.size
    repository.add(3, runtime="r3", lock="l3")
    # Now the base goes too: as a part, and as the lowest layer of two images; it counts once.
    planned = repository.plan(keep=1)
    parts = {layer for part in planned.removed_parts for layer in part.layers}
    layers = {layer for image in planned.removed for layer in image.layers}
    assert base in parts
    assert planned.freed_bytes == sum(layer.size for layer in parts | layers)


def test_an_empty_repository_has_nothing_to_remove(repository: Repository) -> None:
    assert repository.plan() == prune.Plan(repository.name, (), (), ())
