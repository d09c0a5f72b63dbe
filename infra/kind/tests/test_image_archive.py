"""Archives that containerd and the engines import."""

import gzip
import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from bulkhead_kind import image_archive
from bulkhead_kind.image_archive import Image


def _program(folder: Path, name: str = "tool") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {name}\n")
    path.chmod(0o755)
    return path


def _json(tar: tarfile.TarFile, name: str) -> Any:
    file = tar.extractfile(name)
    assert file is not None
    return json.load(file)


def test_a_layer_is_named_by_the_hash_of_its_tar(tmp_path: Path) -> None:
    layer = image_archive.layer_of_paths(
        [(_program(tmp_path), "usr/bin/tool")], tmp_path / "a.tar.gz"
    )
    content = gzip.decompress(layer.file.read_bytes())
    assert layer.diff_id == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_the_same_content_is_the_same_layer(tmp_path: Path) -> None:
    program = _program(tmp_path)
    first = image_archive.layer_of_paths([(program, "tool")], tmp_path / "a.tar.gz")
    program.touch()
    second = image_archive.layer_of_paths([(program, "tool")], tmp_path / "b.tar.gz")
    assert first.diff_id == second.diff_id
    assert first.file.read_bytes() == second.file.read_bytes()


def test_files_belong_to_root_and_keep_their_mode(tmp_path: Path) -> None:
    layer = image_archive.layer_of_paths([(_program(tmp_path), "tool")], tmp_path / "a.tar.gz")
    with tarfile.open(layer.file) as tar:
        (entry,) = tar.getmembers()
    assert (entry.uid, entry.gid, entry.mode) == (0, 0, 0o755)


def test_an_archive_names_images_and_stores_a_shared_layer_once(tmp_path: Path) -> None:
    base = image_archive.layer_of_paths([(_program(tmp_path), "tool")], tmp_path / "base.tar.gz")
    top = image_archive.layer_of_paths(
        [(_program(tmp_path, "top"), "top")], tmp_path / "top.tar.gz"
    )
    archive = tmp_path / "images.tar"
    image_archive.write(
        archive,
        [Image("localhost/a:1", (base,)), Image("localhost/b:1", (base, top), ("/top",))],
        "amd64",
    )
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        manifest = _json(tar, "manifest.json")
        config = _json(tar, manifest[1]["Config"])
    assert [image["RepoTags"] for image in manifest] == [["localhost/a:1"], ["localhost/b:1"]]
    assert names.count("base.tar.gz") == 1
    assert config["rootfs"]["diff_ids"] == [base.diff_id, top.diff_id]
    assert config["config"]["Entrypoint"] == ["/top"]
    assert config["architecture"] == "amd64"
