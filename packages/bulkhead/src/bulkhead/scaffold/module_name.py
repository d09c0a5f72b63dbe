"""The Python module of a new code location, and which names give a module that can be imported."""

import importlib.metadata
import importlib.util
import keyword
import sys
from typing import Final

from bulkhead.location_name import LONGEST, LocationNameError

_SUFFIX: Final = "-data"


def module_of(name: str) -> str:
    """Return the module that holds the code of the code location `name`."""
    return name.replace("-", "_")


def check(name: str) -> None:
    """Accept a name whose module Python can import and which hides no other module.

    Args:
        name: A name that `bulkhead.location_name.check` accepts.

    Raises:
        LocationNameError: The name is a keyword of Python, or the name of a module or package.
    """
    module = module_of(name)
    if keyword.iskeyword(module):
        raise LocationNameError(
            f"{name!r} is a keyword of Python, so its code could not be imported. "
            f"Choose another name, such as {another(name)}."
        )
    if module in sys.stdlib_module_names:
        raise LocationNameError(
            f"{name!r} would hide the module {module} of Python's standard library. "
            f"Choose another name, such as {another(name)}."
        )
    if _is_installed(name) or importlib.util.find_spec(module):
        raise LocationNameError(
            f"{name!r} is the name of an installed package, and one of the two would hide the "
            f"other. Choose another name, such as {another(name)}."
        )


def another(name: str) -> str:
    """Return a longer name that follows the rule, to try in place of one that is taken."""
    return f"{name[: LONGEST - len(_SUFFIX)]}{_SUFFIX}"


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
