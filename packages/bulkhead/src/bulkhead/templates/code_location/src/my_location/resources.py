"""Where orders come from. An environment variable chooses, so the code is the same everywhere."""

import os
from abc import ABC, abstractmethod
from pathlib import Path

import dagster as dg

from . import logic

SOURCE = "MY_LOCATION_SOURCE"
"""Environment variable: `sample` (what is meant where it is not set) or `folder`."""

FOLDER = "MY_LOCATION_FOLDER"
"""Environment variable: the folder with the CSV files of the source `folder`."""

SAMPLE = Path(__file__).with_name("orders.csv")


class OrderSource(dg.ConfigurableResource, ABC):
    """Something that orders can be read from."""

    @abstractmethod
    def read(self) -> list[logic.Order]:
        """Return all orders."""


class SampleOrders(OrderSource):
    """The orders that come with this code."""

    def read(self) -> list[logic.Order]:
        """Return two weeks of orders."""
        return logic.read_orders(SAMPLE)


class FolderOrders(OrderSource):
    """The orders in every CSV file of a folder."""

    folder: str

    def read(self) -> list[logic.Order]:
        """Return the orders of all files, in the order of the files' names.

        Raises:
            FileNotFoundError: the folder holds no such file.
        """
        files = sorted(Path(self.folder).glob("[!.]*.csv"))
        if not files:
            raise FileNotFoundError(
                f"{FOLDER} is {self.folder!r}, and no .csv file is there; put one there, or "
                f"set {SOURCE} to sample"
            )
        return [order for file in files for order in logic.read_orders(file)]


def order_source() -> OrderSource:
    """Return the source that the environment chooses.

    Raises:
        ValueError: it chooses one that does not exist.
    """
    chosen = os.environ.get(SOURCE, "sample")
    if chosen == "sample":
        return SampleOrders()
    if chosen == "folder":
        return FolderOrders(folder=dg.EnvVar(FOLDER))
    raise ValueError(
        f"{SOURCE} is {chosen!r}; it may be sample or folder. On the cluster, values.yaml sets it."
    )
