"""IO managers that a team names: for all, for one job, under a key of its own."""

import dagster as dg


@dg.asset
def to_default() -> int:
    return 1


@dg.asset(io_manager_key="files")
def to_files() -> int:
    return 1


@dg.op(required_resource_keys={"greeting"})
def greet() -> str:
    return "hello"


@dg.job(resource_defs={"greeting": dg.ResourceDefinition.hardcoded_resource("hello")})
def job_with_resources() -> None:
    greet()


@dg.job(
    resource_defs={
        "greeting": dg.ResourceDefinition.hardcoded_resource("hello"),
        "io_manager": dg.mem_io_manager,
    }
)
def job_with_io_manager() -> None:
    greet()


RESOURCES = {"files": dg.FilesystemIOManager(base_dir="files")}

defs = dg.Definitions(
    assets=[to_default, to_files],
    jobs=[job_with_resources, job_with_io_manager],
    resources=RESOURCES,
)

defs_with_io_manager = dg.Definitions(
    assets=[to_default],
    jobs=[job_with_resources, job_with_io_manager],
    resources={"io_manager": dg.FilesystemIOManager(base_dir="files")},
)
