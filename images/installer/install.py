#!/usr/bin/env python3
"""Installs the packages of a lock into a new virtual environment, while an image is built.

uv does it in a twentieth of the time that pip would take, straight into the layer that stays. It
comes by pip and by a lock of its own, and leaves with this step. The caches and the CA bundle, if
there is one, are mounted by the Dockerfile; both tools read of the package index in `/etc`.
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

OWN_LOCK = Path(__file__).with_name("requirements.lock")
MOUNTED_CA = Path("/run/secrets/ca.crt")
DEBIANS_CA = Path("/etc/ssl/certs/ca-certificates.crt")

# An image does not change: a module's source need not be looked at when its bytecode is there.
NEVER_COMPARED = PycInvalidationMode.UNCHECKED_HASH

# They are a seventh of a location's packages.
TESTS_OF_PACKAGES = ("pandas/tests", "numpy/*/tests")


def main(lock: str, target: Path) -> None:
    """Install what `lock` names into `target`, with bytecode that is never compared."""
    ca = str(MOUNTED_CA if MOUNTED_CA.exists() else DEBIANS_CA)
    with tempfile.TemporaryDirectory() as own:
        venv.create(own, symlinks=True, with_pip=True)
        pip = [f"{own}/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, *locked(OWN_LOCK), PIP_CERT=ca, PIP_CACHE_DIR="/run/pip")
        venv.create(target, symlinks=True)
        uv = [f"{own}/bin/uv", "pip", "install", "--quiet", f"--python={target}/bin/python3"]
        # Copied: from a cache that is mounted nothing can be linked.
        own_ways = {"UV_CACHE_DIR": "/run/uv", "UV_LINK_MODE": "copy"}
        run(*uv, "--no-deps", *locked(lock), SSL_CERT_FILE=ca, **own_ways)
    (target / ".lock").unlink(missing_ok=True)
    for pattern in TESTS_OF_PACKAGES:
        for tests in list(target.glob(f"lib/python3*/site-packages/{pattern}")):
            shutil.rmtree(tests)
    if not compileall.compile_dir(target, quiet=1, workers=0, invalidation_mode=NEVER_COMPARED):
        sys.exit(f"Not all of {target} could be compiled")


def locked(lock: str | Path) -> list[str]:
    """Arguments, the same for both tools, for what a lock names and nothing else."""
    return ["--require-hashes", f"--requirement={lock}"]


def run(*command: str, **environment: str) -> None:
    """Run a command with more in its environment; end with its exit code where it fails."""
    ended = subprocess.run(command, env={**os.environ, **environment}, check=False)
    if ended.returncode:
        sys.exit(ended.returncode)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
