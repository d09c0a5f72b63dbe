"""Which names a new code location may have."""

import importlib.metadata
import importlib.util
import keyword
import re
import sys
from typing import Final

PATTERN: Final = "^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$"
"""The charts' own rule, word for word as in their values.schema.json."""

_LONGEST: Final = 50


class LocationNameError(ValueError):
    """The name can't be had; `str()` says why, what is allowed, and what to try."""


def module_of(name: str) -> str:
    """Return the module that holds the code of the code location `name`."""
    return name.replace("-", "_")


def check(name: str) -> None:
    """Let a name pass that the charts accept and that makes a module which hides no other.

    Raises:
        LocationNameError: it is none.
    """
    if not re.fullmatch(PATTERN, name):
        raise LocationNameError(
            f"{name!r} is no name of a code location: that is 1 to {_LONGEST} lower-case letters, "
            f"digits and dashes, begins with a letter and does not end with a dash. {_advice(name)}"
        )
    module = module_of(name)
    if keyword.iskeyword(module):
        raise LocationNameError(
            f"{name!r} is a word of Python's own, so its code could not be imported. "
            f"{_another(name)}"
        )
    if module in sys.stdlib_module_names:
        raise LocationNameError(
            f"{name!r} would hide the module {module} of Python itself from all code beside it. "
            f"{_another(name)}"
        )
    if _is_installed(name) or importlib.util.find_spec(module):
        raise LocationNameError(
            f"{name!r} is the name of a package that is installed here, and one of the two would "
            f"hide the other. {_another(name)}"
        )


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _advice(name: str) -> str:
    """Suggest the nearest name that keeps to the rule, where there is one."""
    nearest = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[:_LONGEST].rstrip("-")
    return f"Try {nearest}." if nearest else "Try a word such as forecasts."


def _another(name: str) -> str:
    return f"Take another, such as {name[:45]}-data."
