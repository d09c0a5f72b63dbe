"""Facts about the machine, read from files as the kernel and distributions write them."""

from pathlib import Path

import pytest

from bulkhead_kind import host


@pytest.mark.parametrize(
    ("bounding", "lacks"),
    [("000001fffeffffff", True), ("000001ffffffffff", False), ("0000000001000000", False)],
)
def test_cap_sys_resource_is_read_from_the_bounding_set(
    tmp_path: Path, bounding: str, lacks: bool
) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapEff:\t0\nCapBnd:\t{bounding}\n")
    assert host.lacks_sys_resource(status) is lacks


def test_a_cgroup_v2_tree_has_its_controllers_at_the_top(tmp_path: Path) -> None:
    assert host.has_cgroup_v1(tmp_path)
    (tmp_path / "cgroup.controllers").touch()
    assert not host.has_cgroup_v1(tmp_path)


@pytest.mark.parametrize(
    ("release", "debian_like"),
    [
        ("ID=debian\n", True),
        ('ID=ubuntu\nID_LIKE="debian"\n', True),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'\n".replace("'", '"'), True),
        ("ID=fedora\n", False),
    ],
)
def test_debian_and_what_derives_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, debian_like: bool
) -> None:
    def which(_: str) -> str:
        return "/usr/bin/apt-get"

    monkeypatch.setattr("shutil.which", which)
    file = tmp_path / "os-release"
    file.write_text(release)
    assert host.is_debian_like(file) is debian_like


def test_the_folder_of_kernel_modules_is_made_where_it_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "modules"
    host.provide_modules_folder(folder)
    host.provide_modules_folder(folder)
    assert folder.is_dir()
