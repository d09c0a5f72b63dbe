"""Debian packages: on this machine with apt, and as root file systems of images with debootstrap.

Everything comes from the mirror that this machine's own apt is set up with; no image keeps its
address.
"""

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
    # What packages bring for people and for apt.
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "var/log",
)

_ONE_AT_A_TIME = threading.Lock()
"""debootstrap's folder of downloads is not made for two at once."""


def install(step: Step, packages: Sequence[str]) -> None:
    """Install `packages` on this machine.

    Raises CommandError where this process may not, or where apt fails.
    """
    if not (host.is_root() and host.is_debian_like()):
        raise CommandError(
            f"{', '.join(packages)} missing, and only root on Debian or Ubuntu can install it here"
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    step.run(["apt-get", "update"], env=quiet)
    step.run(["apt-get", "install", "-y", "--no-install-recommends", *packages], env=quiet)


def system(progress: Progress, name: str, packages: Sequence[str]) -> Path:
    """Return a tar of the smallest Debian system that has `packages`, making it if needed.

    Raises StepError when that fails.
    """

    def make(folder: Path) -> None:
        with progress.step(f"Install Debian packages of {name}") as step, _ONE_AT_A_TIME:
            _bootstrap(step, packages, folder / "root.tar")

    return products.ensure(PRODUCTS, f"debian-{name}", key(packages), make) / "root.tar"


def key(packages: Sequence[str]) -> str:
    """Return the key of the system that has `packages`, for keys of what is made from it."""
    return products.key(host.architecture(), RELEASE, *packages, *LEFT_OUT)


def sources() -> str:
    """Return a sources.list with what this machine's apt has Debian's packages from.

    For builds on a system of `system`, which keeps no address itself. Raises CommandError.
    """
    listed = process.output(
        ["apt-get", "indextargets", "--format=deb $(REPO_URI) $(RELEASE) $(COMPONENT)"]
    )
    debian = {line for line in listed.splitlines() if line.split()[2].startswith(RELEASE)}
    return "".join(f"{line}\n" for line in sorted(debian))


def _bootstrap(step: Step, packages: Sequence[str], tarball: Path) -> None:
    if not host.is_root():
        raise CommandError("root is needed to make a Debian root file system; run this as root")
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
    # /dev is the engine's to fill; its device files would need root to unpack again.
    step.run(["tar", "--numeric-owner", "--exclude=./dev/*", "-C", root, "-cf", tarball, "."])
    shutil.rmtree(root)


def _mirror() -> str:
    """Return the address that this machine's apt has Debian's packages from."""
    listed = process.output(["apt-get", "indextargets", "--format=$(RELEASE) $(COMPONENT) $(SITE)"])
    for line in listed.splitlines():
        release, component, site = line.split(maxsplit=2)
        if (release, component) == (RELEASE, "main"):
            return site
    raise CommandError(
        f"this machine's apt has no source for Debian {RELEASE} main, which the images are made "
        "from; add one, or use a machine that reaches an image registry"
    )


def _empty(path: Path) -> None:
    """Remove what is below a folder, or a file's content: both stay, as programs expect them."""
    if path.is_dir():
        shutil.rmtree(path)
        path.mkdir()
    elif path.exists():
        path.unlink()
        path.touch()
