"""The rule for the name of a code location, and the namespace that it has by default.

The charts check the same rule with the same pattern in their `values.schema.json`. This module
imports only the standard library and nothing of Bulkhead, so every other module may use it.
"""

import re
from typing import Final

LONGEST: Final = 50
"""Characters. The Helm release of a code location has the same name; Helm allows at most 53 there
(https://helm.sh/docs/chart_template_guide/getting_started/)."""

PATTERN: Final = f"^[a-z]([-a-z0-9]{{0,{LONGEST - 2}}}[a-z0-9])?$"
"""The pattern in the charts' `values.schema.json`, character by character."""

_RULE: Final = (
    f"A name has 1 to {LONGEST} lower-case letters, digits and dashes, starts with a letter and "
    "does not end with a dash."
)


class LocationNameError(ValueError):
    """The name is not allowed; `str()` says why, what is allowed, and which name to try."""


def check(name: str) -> None:
    """Accept a name that follows the rule.

    Raises:
        LocationNameError: The name does not follow the rule.
    """
    if not re.fullmatch(PATTERN, name):
        raise LocationNameError(
            f"{name!r} is not a valid name of a code location. {_RULE} {_suggestion(name)}"
        )


def default_namespace(name: str) -> str:
    """Return the namespace of a code location for which the platform admin sets none."""
    return f"bulkhead-{name}"


def _suggestion(name: str) -> str:
    """Return a sentence with the nearest name that follows the rule, or with an example."""
    nearest = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[:LONGEST].rstrip("-")
    return f"Try {nearest}." if nearest else "Try a word such as forecasts."
