"""Facts about this machine that decide how a cluster can be made on it."""

import os
import platform
import resource
import shutil
from pathlib import Path

CAP_SYS_RESOURCE = 24
"""The capability's bit, from capabilities(7)'s header linux/capability.h."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def architecture() -> str:
    """Return the processor architecture in the words of images and Go: `amd64`, `arm64`."""
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def is_root() -> bool:
    """Return whether this process runs as root."""
    return os.geteuid() == 0


def has_cgroup_v1(mount: Path = Path("/sys/fs/cgroup")) -> bool:
    """Return whether the cgroup tree has version 1, alone or beside version 2."""
    return mount.is_dir() and not (mount / "cgroup.controllers").exists()


def lacks_sys_resource(status: Path = Path("/proc/self/status")) -> bool:
    """Return whether root may not raise limits here, as in a sandbox."""
    if not status.exists():
        return False
    for line in status.read_text().splitlines():
        if line.startswith("CapBnd:"):
            return not int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1
    return False


def hard_limit(kind: int, most: int) -> int:
    """Return this process's hard limit of `resource.RLIMIT_…`, at most `most`."""
    _, hard = resource.getrlimit(kind)
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


def is_debian_like(release: Path = Path("/etc/os-release")) -> bool:
    """Return whether packages come from apt, as on Debian, Ubuntu and their derivatives."""
    if not release.exists() or shutil.which("apt-get") is None:
        return False
    fields = dict(
        line.replace('"', "").split("=", 1)
        for line in release.read_text().splitlines()
        if "=" in line
    )
    return "debian" in {fields.get("ID", ""), *fields.get("ID_LIKE", "").split()}


def provide_modules_folder(folder: Path = Path("/lib/modules")) -> None:
    """Create the folder of kernel modules if it is missing: kind mounts it.

    Raises OSError when it cannot be created.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True)
