"""The largest step that the platform's admin allows in this code location."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead import names
from bulkhead.kube import quantities


@dataclass(frozen=True)
class Ceiling:
    """The most that one step may ask for; a resource that is not named has no ceiling."""

    location: str
    amounts: Mapping[str, str]

    @classmethod
    def of_environment(cls) -> "Ceiling":
        """Read it from the settings that the platform gives to every pod of a code location.

        Without them, as on a plain dagster-k8s installation, there is no ceiling.
        """
        text = os.environ.get(names.CEILING_ENV)
        return cls(os.environ.get(names.CODE_LOCATION_ENV, ""), json.loads(text) if text else {})

    @property
    def memory(self) -> int | None:
        """Bytes, or None where there is no ceiling."""
        amount = self.amounts.get("memory")
        return None if amount is None else quantities.parse_bytes(amount)

    def refusal(self, step: str, resources: Mapping[str, Any]) -> str | None:
        """Say why a container's `resources` are too much, or return None where they are not.

        Raises:
            QuantityError: an amount is no quantity.
        """
        for kind in ("limits", "requests"):
            asked: Mapping[str, Any] = resources.get(kind) or {}
            for resource, amount in self.amounts.items():
                if quantities.parse(asked.get(resource, 0)) > quantities.parse(amount):
                    return (
                        f"Step {step} asks for {resource} {asked[resource]}; the ceiling of code "
                        f"location {self.location} is {amount} (set by the platform admin in "
                        f"codeLocations.{self.location}.ceiling). Ask for less, or have the "
                        "ceiling raised."
                    )
        return None
