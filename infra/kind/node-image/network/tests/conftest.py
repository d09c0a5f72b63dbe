"""Makes the agent and the tests' helpers importable; runs the tests that need root only as root."""

import os
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that need root for other users; fail them if their programs are missing."""
    if item.get_closest_marker("needs_root") is None:
        return
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces and nftables: run `sudo make root-test`")
    for program in ("ip", "nft"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing: run `sudo make packages`", pytrace=False)
