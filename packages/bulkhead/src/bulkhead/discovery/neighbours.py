"""What the code locations have to do with each other's assets; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

from bulkhead.webserver_api.definitions import Asset


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What other code locations have to do with the assets of one."""

    dependents: Mapping[str, tuple[str, ...]] | None
    """Key of an asset of this location → the other locations with assets that depend on it. None
    where the assets of this location are not known."""
    taken: Mapping[str, str]
    """Key of an asset that another location materializes or observes → that location. If several
    do, it is the first in the order of their names."""


class AssetOwners:
    """Which locations have which assets, and which have assets that depend on them."""

    def __init__(self, assets: Mapping[str, tuple[Asset, ...]]) -> None:
        """Take the assets of each location whose assets are known."""
        self._keys = {
            location: tuple(sorted(asset.key for asset in found if asset.is_executable))
            for location, found in sorted(assets.items())
        }
        self._users: dict[str, set[str]] = {}  # key → locations with assets that depend on it
        for location, found in assets.items():
            for key in (key for asset in found for key in asset.dependencies):
                self._users.setdefault(key, set()).add(location)
        self._neighbours: dict[str, Neighbours] = {}

    def neighbours(self, location: str) -> Neighbours:
        """Return the neighbours of a location, whose own assets may be unknown."""
        if location not in self._neighbours:
            keys = self._keys.get(location)
            dependents = None if keys is None else self._dependents(location, keys)
            self._neighbours[location] = Neighbours(dependents, self._taken(location))
        return self._neighbours[location]

    def _dependents(self, location: str, keys: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        found = {key: tuple(sorted(self._users.get(key, set()) - {location})) for key in keys}
        return {key: others for key, others in found.items() if others}

    def _taken(self, location: str) -> dict[str, str]:
        taken: dict[str, str] = {}
        for other, keys in self._keys.items():
            if other != location:
                for key in keys:
                    taken.setdefault(key, other)
        return taken
