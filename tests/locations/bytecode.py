"""Where the Pythons of the code locations keep their bytecode."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT = {
    **os.environ,
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(__file__).resolve().parents[2] / "build" / "pycache"),
}
"""For processes: bytecode is kept in `build/`, also where this machine's environment turns it off.

uv installs libraries without bytecode, and compiling them takes seconds of each process.
"""
