"""A layer has the same bytes on every machine."""

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkhead.images import layer
from bulkhead.images.errors import ImageError


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def _tree(root: Path, names: list[str]) -> Path:
    root.mkdir()
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    (root / "bin").mkdir(exist_ok=True)
    program = root / "bin" / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | 0o100)
    (root / "link").symlink_to("bin/program")
    (root / "empty").mkdir()
    return root


NAMES = ["b.py", "a.py", "Z.py", "ä.py", "deep/er/c.py", f"long/{'x' * 120}/{'y' * 120}.py"]


@pytest.mark.usefixtures("umask")
def test_umask_clock_order_and_place_do_not_matter(tmp_path: Path) -> None:
    os.umask(0o077)
    one = layer.pack(_tree(tmp_path / "one", NAMES), tmp_path / "one.tar.gz")
    os.umask(0o002)
    other = _tree(tmp_path / "other folder", NAMES[::-1])
    for path in other.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    two = layer.pack(other, tmp_path / "another-name.tar.gz")
    assert one.file.read_bytes() == two.file.read_bytes()
    assert (one.digest, one.diff_id, one.size) == (two.digest, two.diff_id, two.size)


def test_locale_and_hash_seed_of_the_process_do_not_matter(tmp_path: Path) -> None:
    root = _tree(tmp_path / "root", NAMES)
    pack = (
        "import sys; from pathlib import Path; from bulkhead.images.layer import pack;"
        "print(pack(Path(sys.argv[1]), Path(sys.argv[2])).digest)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", pack, root, tmp_path / "packed"],
            env={"LC_ALL": locale, "PYTHONHASHSEED": seed, "TZ": zone},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for locale, seed, zone in (("C", "1", "UTC"), ("C.UTF-8", "2", "Asia/Tokyo"))
    }
    assert len(digests) == 1


def test_digests_and_size_are_those_of_the_file(tmp_path: Path) -> None:
    packed = layer.pack(_tree(tmp_path / "root", NAMES), tmp_path / "packed")
    content = packed.file.read_bytes()
    assert packed.size == len(content)
    assert packed.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert packed.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(content)).hexdigest()}"
    # Neither flags nor a time in gzip's header (RFC 1952).
    assert content[:8] == bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0])


def test_entries_belong_to_root_with_normal_modes_and_a_given_time(tmp_path: Path) -> None:
    root = _tree(tmp_path / "root", NAMES)
    (root / "a.py").chmod(0o600)
    (root / "bin").chmod(0o700)
    packed = layer.pack(root, tmp_path / "packed", epoch=86400)
    with tarfile.open(packed.file) as tar:
        entries = {entry.name: entry for entry in tar}
        names = [entry.name for entry in tar]
    assert {(each.uid, each.gid, each.uname, each.gname) for each in entries.values()} == {
        (0, 0, "", "")
    }
    assert {each.mtime for each in entries.values()} == {86400}
    assert oct(entries["a.py"].mode) == "0o644"
    assert oct(entries["bin"].mode) == oct(entries["bin/program"].mode) == "0o755"
    assert (entries["link"].linkname, entries["empty"].isdir()) == ("bin/program", True)
    assert names == sorted(names, key=lambda name: [os.fsencode(part) for part in name.split("/")])
    assert set(NAMES) <= set(names)


def test_the_content_is_that_of_the_folder(tmp_path: Path) -> None:
    root = _tree(tmp_path / "root", NAMES)
    packed = layer.pack(root, tmp_path / "packed")
    with tarfile.open(packed.file) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    diff = subprocess.run(["diff", "-r", root, tmp_path / "out"], check=False)
    assert diff.returncode == 0


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../other", "deep/../../other", "/"])
def test_a_link_out_of_the_folder_is_an_error_that_names_both(tmp_path: Path, target: str) -> None:
    root = _tree(tmp_path / "root", NAMES)
    (root / "bad").symlink_to(target)
    for call in (layer.check_links, lambda root: layer.pack(root, tmp_path / "packed")):
        with pytest.raises(ImageError, match="outside of its folder") as raised:
            call(root)
        assert f"link bad points to {target}," in str(raised.value)


@pytest.mark.parametrize("target", ["../a.py", "er/../../a.py", "er", "missing", "./er/c.py"])
def test_a_link_within_the_folder_stays_as_it_is(tmp_path: Path, target: str) -> None:
    root = _tree(tmp_path / "root", NAMES)
    (root / "deep" / "good").symlink_to(target)
    layer.check_links(root)
    with tarfile.open(layer.pack(root, tmp_path / "packed").file) as tar:
        assert tar.getmember("deep/good").linkname == target.removeprefix("./") or target


def test_another_kind_of_file_is_an_error(tmp_path: Path) -> None:
    root = _tree(tmp_path / "root", NAMES)
    os.mkfifo(root / "pipe")
    with pytest.raises(ImageError, match="pipe is neither a file"):
        layer.pack(root, tmp_path / "packed")
