"""This machine's settings of package indexes, as configuration of pip and uv.

Image builds get them as secrets, so that they do not appear in the image.
"""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from bulkhead_kind import process

Settings = Mapping[str, str]
"""pip's option → its value; several values are separated by blanks."""

WANTED = ("index-url", "extra-index-url", "trusted-host")


def settings() -> Settings:
    """Return the package indexes that this machine's pip is configured with; may be empty."""
    listed = process.output([sys.executable, "-m", "pip", "config", "list"]).splitlines()
    return {
        name.rsplit(".", 1)[-1]: shlex.split(value)[0]
        for name, _, value in (line.partition("=") for line in listed)
        if name.rsplit(".", 1)[-1] in WANTED
    }


def pip_conf(settings: Settings) -> str:
    """Return the settings as a pip.conf."""
    lines = (f"{name} = {' '.join(value.split())}\n" for name, value in settings.items())
    return "[global]\n" + "".join(lines)


def uv_toml(settings: Settings) -> str:
    """Return the settings as a uv.toml."""
    named = {
        "index-url": settings.get("index-url"),
        "extra-index-url": settings.get("extra-index-url", "").split(),
        "allow-insecure-host": settings.get("trusted-host", "").split(),
    }
    # Strings and lists of strings have the same form in TOML and JSON.
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in named.items() if value)


def ca_bundle() -> Path | None:
    """Return the CA bundle that this machine's pip is configured with, if any."""
    named = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    return Path(named) if named and Path(named).is_file() else None
