import dagster as dg


@dg.asset
def found_in_folder() -> int:
    return 1
