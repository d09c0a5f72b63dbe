"""Images in a real registry: what is made and pushed, and what is found again."""

import gzip
import hashlib
import io
import shutil
import tarfile
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from packages.bulkhead.tests.registry_server import REPOSITORY, RegistryServer
from packages.bulkhead.tests.small_image import pushed
from packages.bulkhead.tests.test_images.conftest import BASE_IMAGE, Engine, Location

from bulkhead.images import image, labels
from bulkhead.images.errors import ImageError
from bulkhead.images.image import Built, Source
from bulkhead.images.keys import Keys
from bulkhead.images.target import Target
from bulkhead.registry.client import Registry
from bulkhead.registry.manifests import DOCKER, OCI, Format, StoredImage

BULKHEAD = REPOSITORY / "packages" / "bulkhead"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source folder of a small bulkhead."""
    folder = tmp_path_factory.mktemp("library")
    for name in ("pyproject.toml", "README.md", "src/bulkhead/__init__.py", "src/bulkhead/cli.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((BULKHEAD / name).read_bytes())
    return folder


@dataclass
class Site:
    """A code location, and its repository in a registry."""

    registry: Registry
    server: RegistryServer
    target: Target
    location: Location
    library: Path
    scratch: Path

    @property
    def keys(self) -> Keys:
        lock = self.location.folder / "requirements.lock"
        return Keys.of(lock, BASE_IMAGE, self.library, self.location.source.tree)

    @property
    def repository(self) -> str:
        return self.target.push_reference("sales").repository

    @property
    def puts(self) -> int:
        """How many blobs and manifests were pushed until now."""
        return self.server.log.count('"PUT /v2')

    def push_packages(self, kind: Format = OCI) -> str:
        """Push what an engine would: an image under the tag of the lock."""
        tag = self.keys.lock_tag
        return pushed(self.registry, self.repository, self.scratch, tag, format=kind)

    def ensure(self, source: Source | None = None, library: Path | None = None) -> Built:
        return image.ensure(
            source or self.location.source,
            self.target,
            base_image=BASE_IMAGE,
            library=library or self.library,
            engine="podman",
            timeout=10,
        )

    def stored(self, reference: str) -> StoredImage:
        found = self.registry.image(self.repository, reference)
        assert found is not None
        return found

    def blob(self, digest: str) -> bytes:
        url = f"http://{self.server.host}/v2/{self.repository}/blobs/{digest}"
        with urllib.request.urlopen(url) as answer:
            return answer.read()


@pytest.fixture
def empty(
    image_registry: RegistryServer, target: Target, location: Location, library: Path
) -> Site:
    """Its repository is empty."""
    registry = Registry(image_registry.host, plain_http=True, credentials=None, timeout=10)
    return Site(registry, image_registry, target, location, library, location.folder.parent)


@pytest.fixture
def site(empty: Site) -> Site:
    """Its packages are in the registry."""
    empty.push_packages()
    return empty


@pytest.mark.parametrize("kind", [OCI, DOCKER], ids=["oci", "docker"])
def test_library_and_code_are_layers_on_the_packages(empty: Site, kind: Format) -> None:
    empty.push_packages(kind)
    built = empty.ensure()
    assert built.work == "library"
    assert built.reference == f"{empty.target.registry}/sales@{built.digest}"
    made = empty.stored(built.digest)
    assert made.format == kind
    assert [layer.media_type for layer in made.layers] == [kind.layer] * 3
    blobs = [empty.blob(layer.digest) for layer in made.layers]
    assert [len(blob) for blob in blobs] == [layer.size for layer in made.layers]
    tars = [gzip.decompress(blob) for blob in blobs]
    assert made.config["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(content).hexdigest()}" for content in tars
    ]
    library, code = (_names(content) for content in tars[1:])
    assert "opt/venv/bin/bulkhead" in library
    assert "opt/code/src/sales/__init__.py" in code
    assert not any(name.startswith("opt/code") for name in library)
    assert made.config["created"] == "2025-11-28T11:02:31Z"
    assert made.config["history"][-1]["created_by"] == "code of sales"
    assert made.config["architecture"] == "amd64"


def _names(tar: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return set(opened.getnames())


def test_labels_say_what_an_image_was_made_from(empty: Site) -> None:
    packages = empty.push_packages()
    built = empty.ensure()
    source, keys = empty.location.source, empty.keys
    assert labels.labels(empty.target, built.reference) == labels.Labels(
        tree=source.tree,
        commit=source.commit,
        lock=keys.lock,
        library=keys.library,
        runtime=keys.runtime,
        created=source.commit_time,
    )
    missing = empty.target.pod_reference("sales", f"sha256:{'0' * 64}")
    assert labels.labels(empty.target, missing) is None
    other = labels.labels(empty.target, empty.target.pod_reference("sales", packages))
    assert other is not None
    assert other.tree is None


def test_the_labels_of_the_packages_stay(site: Site) -> None:
    made = site.stored(site.ensure().digest)
    assert made.labels["name"] == "one"
    assert made.labels["org.opencontainers.image.title"] == "sales"


def test_the_same_tree_is_found_also_from_another_commit(site: Site) -> None:
    first = site.ensure()
    before = site.puts
    source = site.location.source
    other = Source("sales", source.folder, source.tree, "another", source.commit_time + 60)
    again = site.ensure(other)
    assert (again.work, again.digest, again.pushed_bytes) == ("nothing", first.digest, 0)
    assert site.puts == before


def test_a_change_of_the_code_pushes_one_layer_and_needs_no_engine(site: Site) -> None:
    first = site.ensure()
    site.location.write("src/sales/more.py", "MORE = 1\n")
    before = site.puts
    second = site.ensure()
    # The layer, the configuration, the manifest.
    assert site.puts - before == 3
    assert second.work == "code"
    assert second.digest != first.digest
    assert site.stored(second.digest).layers[:2] == site.stored(first.digest).layers[:2]
    assert 0 < second.pushed_bytes < 100_000


def test_a_change_that_is_not_in_the_layer_pushes_no_layer(site: Site) -> None:
    first = site.ensure()
    site.location.write("tests/test_sales.py", "")
    before = site.puts
    second = site.ensure()
    assert (second.work, second.digest != first.digest) == ("code", True)
    assert site.puts - before == 2


def test_a_change_of_bulkhead_keeps_the_packages(site: Site) -> None:
    first = site.ensure()
    changed = site.scratch / "changed"
    shutil.copytree(site.library, changed)
    (changed / "src/bulkhead/cli.py").write_text("# changed\n")
    second = site.ensure(library=changed)
    assert second.work == "library"
    pairs = zip(site.stored(first.digest).layers, site.stored(second.digest).layers, strict=True)
    assert [old == new for old, new in pairs] == [True, False, True]


def test_a_changed_lock_is_built_by_the_engine(empty: Site, engine: Engine) -> None:
    record = engine(
        "podman",
        f"""
if sys.argv[1] == "push":
    sys.path.insert(0, {str(REPOSITORY)!r})
    from packages.bulkhead.tests.small_image import pushed
    from bulkhead.registry.client import Registry
    from bulkhead.registry.reference import Reference
    image = Reference.parse(sys.argv[-1])
    registry = Registry(image.host, plain_http=True, credentials=None)
    pushed(registry, image.repository, Path({str(empty.scratch)!r}), image.tag)
""",
    )
    assert empty.ensure().work == "packages"
    assert "build" in record.read_text()
    record.write_text("")
    empty.location.write("src/sales/more.py", "MORE = 1\n")
    assert empty.ensure().work == "code"
    assert record.read_text() == ""
    empty.location.write("requirements.lock", "")
    assert empty.ensure().work == "packages"


def test_an_engine_that_pushes_elsewhere_is_an_error(empty: Site, engine: Engine) -> None:
    engine("podman", "")
    with pytest.raises(ImageError, match="which was just pushed"):
        empty.ensure()


def test_a_deploy_that_was_interrupted_continues(site: Site) -> None:
    project = (site.location.folder / "pyproject.toml").read_text()
    site.location.write("pyproject.toml", "[build-system]\nrequires = 1\n")
    with pytest.raises(ImageError):
        site.ensure()
    assert [tag.split("-")[0] for tag in site.registry.tags(site.repository)] == ["lock", "runtime"]
    site.location.write("pyproject.toml", project)
    assert site.ensure().work == "code"


def test_two_deploys_of_one_tree_at_once_give_one_image(site: Site) -> None:
    results: list[Built] = []
    barrier = threading.Barrier(2)

    def deploy() -> None:
        barrier.wait()
        results.append(site.ensure())

    threads = [threading.Thread(target=deploy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0].digest == results[1].digest
    assert site.registry.digest(site.repository, site.keys.tree_tag) == results[0].digest


def test_each_input_changes_the_keys_above_it(location: Location, library: Path) -> None:
    lock = location.folder / "requirements.lock"
    keys = Keys.of(lock, BASE_IMAGE, library, "t1")
    assert keys == Keys.of(lock, BASE_IMAGE, library, "t1")
    other_tree = Keys.of(lock, BASE_IMAGE, library, "t2")
    assert (other_tree.runtime, other_tree.tree != keys.tree) == (keys.runtime, True)
    other_base = Keys.of(lock, f"{BASE_IMAGE}0", library, "t1")
    lock.write_text("changed")
    other_lock = Keys.of(lock, BASE_IMAGE, library, "t1")
    for other in (other_base, other_lock):
        assert other.library == keys.library
        assert {other.lock, other.runtime, other.tree} & {
            keys.lock,
            keys.runtime,
            keys.tree,
        } == set()
