"""The largest step that the platform admin allows in this code location."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead import names
from bulkhead.kube import quantities
from bulkhead.steps.verdicts import Excess


@dataclass(frozen=True)
class Ceiling:
    """The most that one step may request; a resource that is not named has no ceiling."""

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
        """Bytes; None where there is no ceiling."""
        amount = self.amounts.get("memory")
        return None if amount is None else quantities.parse_bytes(amount)

    def excess(self, resources: Mapping[str, Any]) -> Excess | None:
        """Return the first request or limit in a container's `resources` that is too large.

        Raises:
            QuantityError: an amount is not a valid quantity.
        """
        for kind in ("limits", "requests"):
            requested: Mapping[str, Any] = resources.get(kind) or {}
            for resource, allowed in self.amounts.items():
                amount = requested.get(resource, 0)
                if quantities.parse(amount) > quantities.parse(allowed):
                    return Excess(resource, str(amount), allowed)
        return None
