"""Definitions that are made when the location is built, not when the module is imported."""

import dagster as dg

TIMES_BUILT: list[int] = []


@dg.definitions
def build() -> dg.Definitions:
    TIMES_BUILT.append(1)

    @dg.asset
    def made_late() -> int:
        return 1

    return dg.Definitions(assets=[made_late], metadata={"built": dg.MetadataValue.int(1)})
