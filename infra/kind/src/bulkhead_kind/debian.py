"""Debian packages: on this machine with apt, and as root file systems of images with debootstrap.

Everything comes from the mirror of this machine's own apt; no image keeps its address.
"""

import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from bulkhead_kind import host, process, products
from bulkhead_kind.paths import BUILD, PRODUCTS
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress, Step

RELEASE = "bookworm"
"""Debian 12: its python3 is 3.11, the version of the images; its containerd is 1.6."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

LEFT_OUT = (
    # This machine's, not the image's.
    "etc/apt/sources.list",
    "etc/hostname",
    "etc/resolv.conf",
    # Documentation, and files of apt.
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "var/log",
)

TEST_PROGRAMS = {"socat": "socat", "nft": "nftables", "ip": "iproute2"}
"""Programs that tests of the network agent call, each with its Debian package."""

_ONE_AT_A_TIME = threading.Lock()
"""Two debootstraps cannot share a folder of downloads at the same time."""


def install(step: Step, packages: Sequence[str]) -> None:
    """Install `packages` on this machine.

    Raises CommandError when this process may not install them, or when apt fails.
    """
    if not (host.is_root() and host.is_debian_like()):
        raise CommandError(
            f"Missing Debian packages: {', '.join(packages)}. Install them, or run this command as "
            "root on Debian or Ubuntu, which installs them."
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    step.run(["apt-get", "update"], env=quiet)
    step.run(["apt-get", "install", "-y", "--no-install-recommends", *packages], env=quiet)


def missing_test_programs() -> list[str]:
    """Return the TEST_PROGRAMS that this machine does not have."""
    # A user's PATH may lack the folders of root's programs.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return [program for program in TEST_PROGRAMS if shutil.which(program, path=path) is None]


def install_test_programs(progress: Progress) -> None:
    """Install the missing TEST_PROGRAMS on this machine.

    Raises StepError where this process may not, or where apt fails.
    """
    missing = missing_test_programs()
    if missing:
        with progress.step("Install the tests' Debian packages") as step:
            install(step, [TEST_PROGRAMS[program] for program in missing])


def system(progress: Progress, name: str, packages: Sequence[str]) -> Path:
    """Return a tar of a minimal Debian system with `packages`, made if it is missing.

    Raises StepError when it cannot be made.
    """

    def make(folder: Path) -> None:
        with progress.step(f"Install Debian packages of {name}") as step, _ONE_AT_A_TIME:
            _bootstrap(step, packages, folder / "root.tar")

    return products.ensure(PRODUCTS, f"debian-{name}", key(packages), make) / "root.tar"


def key(packages: Sequence[str]) -> str:
    """Return the key of the system with `packages`, for keys of products made from it."""
    return products.key(host.architecture(), RELEASE, *packages, *LEFT_OUT)


def sources() -> str:
    """Return a sources.list with this machine's sources of Debian packages.

    For builds on a system of `system`, which keeps no address. Raises CommandError.
    """
    listed = process.output(
        ["apt-get", "indextargets", "--format=deb $(REPO_URI) $(RELEASE) $(COMPONENT)"]
    )
    debian = {line for line in listed.splitlines() if line.split()[2].startswith(RELEASE)}
    return "".join(f"{line}\n" for line in sorted(debian))


def _bootstrap(step: Step, packages: Sequence[str], tarball: Path) -> None:
    if not host.is_root():
        raise CommandError(
            "A Debian root file system can only be made as root. Run this command as root."
        )
    if shutil.which("debootstrap") is None:
        install(step, ["debootstrap"])
    root = tarball.parent / "root"
    downloads = BUILD / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    step.run(
        [
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(packages)}",
            f"--cache-dir={downloads}",
            *([f"--keyring={KEYRING}"] if KEYRING.exists() else []),
            RELEASE,
            root,
            _mirror(),
        ]
    )
    for path in LEFT_OUT:
        _empty(root / path)
    # The engine fills /dev; unpacking device files would need root.
    step.run(["tar", "--numeric-owner", "--exclude=./dev/*", "-C", root, "-cf", tarball, "."])
    shutil.rmtree(root)


def _mirror() -> str:
    """Return the address of this machine's mirror of Debian packages."""
    listed = process.output(["apt-get", "indextargets", "--format=$(RELEASE) $(COMPONENT) $(SITE)"])
    for line in listed.splitlines():
        release, component, site = line.split(maxsplit=2)
        if (release, component) == (RELEASE, "main"):
            return site
    raise CommandError(
        f"This machine's apt has no source of Debian {RELEASE} main, which the images need. "
        "Add one, or use a machine that reaches an image registry."
    )


def _empty(path: Path) -> None:
    """Empty a folder or a file; it stays, because programs expect it."""
    if path.is_dir():
        shutil.rmtree(path)
        path.mkdir()
    elif path.exists():
        path.unlink()
        path.touch()
