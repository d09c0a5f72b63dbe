"""Paths in the image of a code location; `docs/design/contract.md` describes them."""

from pathlib import PurePosixPath
from typing import Final

PYTHON: Final = "3.11"
"""The Python of the images."""

CODE: Final = PurePosixPath("/opt/code")
"""The folder of the code location; also the working directory."""

VENV: Final = PurePosixPath("/opt/venv")
"""The virtual environment with all packages."""

SITE_PACKAGES: Final = VENV / "lib" / f"python{PYTHON}" / "site-packages"
