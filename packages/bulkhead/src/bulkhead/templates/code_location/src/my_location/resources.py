"""The sources of orders. An environment variable selects one; the code is the same everywhere."""

import os
from abc import ABC, abstractmethod
from pathlib import Path

import dagster as dg

from . import logic

SOURCE = "MY_LOCATION_SOURCE"
"""Environment variable: `sample` (the default) or `folder`."""

FOLDER = "MY_LOCATION_FOLDER"
"""Environment variable: the folder with the CSV files, for the source `folder`."""

SAMPLE = Path(__file__).with_name("orders.csv")


class OrderSource(dg.ConfigurableResource, ABC):
    """A source of orders."""

    @abstractmethod
    def read(self) -> list[logic.Order]:
        """Return all orders."""


class SampleOrders(OrderSource):
    """The sample orders that are part of this code."""

    def read(self) -> list[logic.Order]:
        """Return the orders of two weeks."""
        return logic.read_orders(SAMPLE)


class FolderOrders(OrderSource):
    """The orders in all CSV files of a folder."""

    folder: str

    def read(self) -> list[logic.Order]:
        """Return the orders of all files, sorted by file name.

        Raises:
            FileNotFoundError: The folder contains no CSV file.
        """
        files = sorted(Path(self.folder).glob("[!.]*.csv"))
        if not files:
            raise FileNotFoundError(
                f"{FOLDER} is {self.folder!r}, which contains no .csv file. Put one there, or set "
                f"{SOURCE} to sample."
            )
        return [order for file in files for order in logic.read_orders(file)]


def order_source() -> OrderSource:
    """Return the source that the environment variable selects.

    Raises:
        ValueError: There is no such source.
    """
    source = os.environ.get(SOURCE, "sample")
    if source == "sample":
        return SampleOrders()
    if source == "folder":
        return FolderOrders(folder=dg.EnvVar(FOLDER))
    raise ValueError(
        f"{SOURCE} is {source!r}; it must be sample or folder. On the cluster, values.yaml sets it."
    )
