#!/usr/bin/env python3
"""Installs the packages of a lock into a new virtual environment, in the build of an image.

uv takes a twentieth of the time of pip, and writes directly into the layer of the image. pip
installs uv from a lock of its own, into an environment that is removed at the end. The Dockerfile
mounts the caches and the optional CA bundle. Both tools read the settings of the package index from
`/etc`.
"""

import compileall
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from py_compile import PycInvalidationMode

INSTALLER_LOCK = Path(__file__).with_name("requirements.lock")
MOUNTED_CA = Path("/run/secrets/ca.crt")
DEBIAN_CA = Path("/etc/ssl/certs/ca-certificates.crt")

# An image does not change, so Python need not compare a module's bytecode with its source.
NOT_COMPARED = PycInvalidationMode.UNCHECKED_HASH

# The tests of these packages are a seventh of the size of a code location's packages.
TESTS_OF_PACKAGES = ("pandas/tests", "numpy/*/tests")


def main(lock: str, target: Path) -> None:
    """Install the packages of `lock` into `target`, and compile them."""
    ca = str(MOUNTED_CA if MOUNTED_CA.exists() else DEBIAN_CA)
    with tempfile.TemporaryDirectory() as installer:
        venv.create(installer, symlinks=True, with_pip=True)
        pip = [f"{installer}/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, *requirements(INSTALLER_LOCK), PIP_CERT=ca, PIP_CACHE_DIR="/run/pip")
        venv.create(target, symlinks=True)
        uv = [f"{installer}/bin/uv", "pip", "install", "--quiet", f"--python={target}/bin/python3"]
        # The cache is mounted, so files cannot be linked from it.
        settings = {"UV_CACHE_DIR": "/run/uv", "UV_LINK_MODE": "copy"}
        run(*uv, "--no-deps", *requirements(lock), SSL_CERT_FILE=ca, **settings)
    (target / ".lock").unlink(missing_ok=True)
    for pattern in TESTS_OF_PACKAGES:
        for tests in list(target.glob(f"lib/python3*/site-packages/{pattern}")):
            shutil.rmtree(tests)
    if not compileall.compile_dir(target, quiet=1, workers=0, invalidation_mode=NOT_COMPARED):
        sys.exit(f"Some modules in {target} do not compile. The errors are above.")


def requirements(lock: str | Path) -> list[str]:
    """Return the arguments for a lock, which are the same for pip and uv."""
    return ["--require-hashes", f"--requirement={lock}"]


def run(*command: str, **environment: str) -> None:
    """Run a command with more environment variables; exit with its exit code if it fails."""
    done = subprocess.run(command, env={**os.environ, **environment}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
