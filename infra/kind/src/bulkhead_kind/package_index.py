"""How this machine reaches the package index, in the words of pip and of uv.

An image's build takes this as secrets, so that it leaves no trace in the image.
"""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from bulkhead_kind import process

Settings = Mapping[str, str]
"""Option of pip → its value; options that may have several values part them with blanks."""

WANTED = ("index-url", "extra-index-url", "trusted-host")


def settings() -> Settings:
    """What this machine's pip was told of package indexes; empty where it uses the usual one."""
    listed = process.output([sys.executable, "-m", "pip", "config", "list"]).splitlines()
    return {
        name.rsplit(".", 1)[-1]: shlex.split(value)[0]
        for name, _, value in (line.partition("=") for line in listed)
        if name.rsplit(".", 1)[-1] in WANTED
    }


def pip_conf(settings: Settings) -> str:
    """The same as a file that pip reads."""
    lines = (f"{name} = {' '.join(value.split())}\n" for name, value in settings.items())
    return "[global]\n" + "".join(lines)


def uv_toml(settings: Settings) -> str:
    """The same as a file that uv reads."""
    named = {
        "index-url": settings.get("index-url"),
        "extra-index-url": settings.get("extra-index-url", "").split(),
        "allow-insecure-host": settings.get("trusted-host", "").split(),
    }
    # A string or a list of strings is written alike in TOML and in JSON.
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in named.items() if value)


def ca_bundle() -> Path | None:
    """The CA bundle that this machine's pip was told to use."""
    named = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    return Path(named) if named and Path(named).is_file() else None
