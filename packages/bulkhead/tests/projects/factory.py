"""Attributes that Dagster loads only when they are named."""

import dagster as dg


@dg.op
def nothing() -> None: ...


@dg.asset
def thing() -> int:
    return 1


def make_definitions() -> dg.Definitions:
    return dg.Definitions(assets=[thing])


def make_repository() -> dg.RepositoryDefinition:
    @dg.repository
    def made() -> list[dg.AssetsDefinition]:
        return [thing]

    return made


def make_job() -> dg.JobDefinition:
    @dg.job
    def made_job() -> None:
        nothing()

    return made_job


def make_number() -> int:
    return 3


first = [thing]
second = dg.Definitions(assets=[thing])
third = dg.Definitions(assets=[thing])
