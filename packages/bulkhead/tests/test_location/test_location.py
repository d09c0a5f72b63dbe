"""What a team's project becomes when it is loaded through `bulkhead.location`.

Every promise is tried with the oldest and with the newest Dagster that Bulkhead supports.
"""

from typing import Any

import pytest

from bulkhead import names

MODULE = names.DEFINITIONS_MODULE_ENV
PACKAGE = names.DEFINITIONS_PACKAGE_ENV
FILE = names.DEFINITIONS_FILE_ENV
ATTRIBUTE = names.DEFINITIONS_ATTRIBUTE_ENV
WORKING_DIRECTORY = names.DEFINITIONS_WORKING_DIRECTORY_ENV

SETTINGS = {
    "module": {MODULE: "definitions_module"},
    "package": {PACKAGE: "definitions_package"},
    "file": {FILE: "definitions_module.py"},
    "file in working directory": {FILE: "ops.py", WORKING_DIRECTORY: "definitions_package"},
    "dg project": {MODULE: "dg_project.definitions"},
    "module in working directory": {
        MODULE: "ops",
        WORKING_DIRECTORY: "definitions_package",
    },
    "repositories": {MODULE: "two_repositories"},
    "one repository": {MODULE: "two_repositories", ATTRIBUTE: "second"},
    "loose assets": {MODULE: "loose_assets"},
    "loose job": {MODULE: "loose_job"},
    "loose graph": {MODULE: "loose_graph"},
    "lazy definitions": {MODULE: "lazy_definitions"},
    "attribute: definitions": {MODULE: "factory", ATTRIBUTE: "second"},
    "attribute: assets": {MODULE: "factory", ATTRIBUTE: "first"},
    "attribute: function for definitions": {MODULE: "factory", ATTRIBUTE: "make_definitions"},
    "attribute: function for a repository": {MODULE: "factory", ATTRIBUTE: "make_repository"},
    "attribute: function for a job": {MODULE: "factory", ATTRIBUTE: "make_job"},
    "attribute: function for a number": {MODULE: "factory", ATTRIBUTE: "make_number"},
    "attribute: missing": {MODULE: "factory", ATTRIBUTE: "fourth"},
    "two definitions": {MODULE: "factory"},
    "off the platform": {MODULE: "definitions_module", names.CODE_LOCATION_ENV: ""},
    "own executor": {MODULE: "own_executor"},
    "own executor of some jobs": {MODULE: "own_executor_of_some_jobs"},
    "no io manager": {MODULE: "own_io_manager", ATTRIBUTE: "defs"},
    "own io manager": {MODULE: "own_io_manager", ATTRIBUTE: "defs_with_io_manager"},
    "executor's config": {MODULE: "default_executor_config", "RUN_JOB": "with_processes"},
    "missing library": {MODULE: "imports_what_is_missing"},
    "raises": {MODULE: "raises"},
    "no such module": {MODULE: "no_such_module"},
    "no such module in a package": {PACKAGE: "definitions_package.no_such_module"},
    "no such file": {FILE: "no_such_file.py"},
    **{
        f"invalid: {which}": {MODULE: "invalid_resources", "RESOURCES": which}
        for which in ("step_resources", "too little", "dagster-k8s/config", "asset", "valid")
    },
    "no settings": {},
    "contradicting settings": {MODULE: "factory", FILE: "factory.py"},
}

Locations = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def locations(load: Any) -> Locations:
    """Every project of SETTINGS, loaded as on the platform."""
    settings = [
        {names.CODE_LOCATION_ENV: "blue", **project_settings}
        for project_settings in SETTINGS.values()
    ]
    return dict(zip(SETTINGS, load(settings), strict=True))


def repository(locations: Locations, project: str, name: str = "__repository__") -> dict[str, Any]:
    location = locations[project]
    assert "error" not in location, location["error"]
    return location["repositories"][name]


def executors(repository: dict[str, Any]) -> dict[str, str]:
    return {name: job["executor"] for name, job in repository["jobs"].items()}


def io_managers(repository: dict[str, Any]) -> dict[str, str]:
    return {name: job["io_manager"] for name, job in repository["jobs"].items()}


@pytest.mark.parametrize("project", ["module", "file"])
def test_every_job_of_a_project_that_names_no_executor_gets_a_pod_per_step(
    locations: Locations, project: str
) -> None:
    assert executors(repository(locations, project)) == dict.fromkeys(
        [
            "__ASSET_JOB",
            "asset_job",
            "daily_job",
            "graph_job",
            "job_of_schedule",
            "job_of_sensor",
            "op_job",
        ],
        "isolated_step",
    )


@pytest.mark.parametrize("project", ["module", "file"])
def test_nothing_of_a_project_gets_lost(locations: Locations, project: str) -> None:
    found = repository(locations, project)
    assert found["assets"] == ["daily", "left", "raw", "right"]
    assert found["checks"] == ["raw_is_positive"]
    assert found["schedules"] == {
        "daily_job_schedule": "daily_job",
        "job_of_schedule_schedule": "job_of_schedule",
    }
    assert found["sensors"] == {"watch": "job_of_sensor"}
    assert found["metadata"] == ["purpose"]
    assert found["jobs"]["op_job"]["tags"] == {"team": "blue"}
    assert found["jobs"]["op_job"]["loggers"] == ["plain"]


@pytest.mark.parametrize(
    ("project", "name", "jobs"),
    [
        ("package", "__repository__", ["package_job"]),
        ("loose assets", "__repository__", ["__ASSET_JOB"]),
        ("loose job", "__repository__only_job", ["only_job"]),
        ("loose graph", "__repository__only_graph", ["only_graph"]),
        ("lazy definitions", "__repository__", ["__ASSET_JOB"]),
        ("file in working directory", "__repository__say", ["say"]),
        ("dg project", "__repository__", ["__ASSET_JOB"]),
        ("module in working directory", "__repository__say", ["say"]),
        ("attribute: definitions", "__repository__", ["__ASSET_JOB"]),
        ("attribute: assets", "__repository__", ["__ASSET_JOB"]),
        ("attribute: function for definitions", "__repository__", ["__ASSET_JOB"]),
        ("attribute: function for a repository", "made", ["__ASSET_JOB"]),
        ("attribute: function for a job", "__repository__made_job", ["made_job"]),
    ],
)
def test_a_project_loads_in_every_way_that_dagster_allows(
    locations: Locations, project: str, name: str, jobs: list[str]
) -> None:
    assert list(locations[project].get("repositories", locations[project])) == [name]
    assert executors(repository(locations, project, name)) == dict.fromkeys(jobs, "isolated_step")


def test_several_repositories_are_all_kept(locations: Locations) -> None:
    assert executors(repository(locations, "repositories", "first")) == {
        "first_job": "isolated_step"
    }
    assert executors(repository(locations, "repositories", "second")) == {
        "first_job": "in_process",
        "second_job": "multiprocess",
    }
    assert list(locations["one repository"]["repositories"]) == ["second"]


def test_definitions_that_name_an_executor_keep_it(locations: Locations) -> None:
    assert executors(repository(locations, "own executor")) == {
        "__ASSET_JOB": "in_process",
        "asset_job_with": "multiprocess",
        "job_with": "multiprocess",
        "job_without": "in_process",
    }


def test_a_job_that_names_an_executor_keeps_it(locations: Locations) -> None:
    assert executors(repository(locations, "own executor of some jobs")) == {
        "job_with": "in_process",
        "job_without": "isolated_step",
    }


def test_the_default_io_manager_is_replaced_only_where_a_team_names_none(
    locations: Locations,
) -> None:
    assert io_managers(repository(locations, "no io manager")) == {
        "__ASSET_JOB": "default",
        "job_with_io_manager": "named",
        "job_with_resources": "default",
    }
    assert io_managers(repository(locations, "own io manager")) == {
        "__ASSET_JOB": "named",
        "job_with_io_manager": "named",
        "job_with_resources": "named",
    }


def test_config_made_for_dagsters_default_executor_still_fits(locations: Locations) -> None:
    jobs = repository(locations, "executor's config")["jobs"]
    assert {job["executor"] for job in jobs.values()} == {"isolated_step"}
    assert jobs["with_processes"]["result"] == {"emit": 20, "add_one": 21}


def test_what_talks_to_kubernetes_and_s3_is_not_imported_to_load_a_project(
    locations: Locations,
) -> None:
    modules = set(locations["module"]["modules"])
    assert "bulkhead.code_location.object_store" not in modules
    assert modules.isdisjoint({"kubernetes", "dagster_k8s", "dagster_aws", "boto3"})


@pytest.mark.parametrize(
    ("project", "words"),
    [
        ("missing library", ["a_library_that_is_not_installed", "imports_what_is_missing.py"]),
        ("raises", ["ValueError: the team's own mistake", "raises.py"]),
        ("two definitions", ["more than one Definitions object", "factory.second"]),
        ("attribute: missing", [ATTRIBUTE, "'fourth'", "factory", MODULE]),
        ("attribute: function for a number", [ATTRIBUTE, "it is 3"]),
        ("no such module", [MODULE, "'no_such_module'", "Install", WORKING_DIRECTORY]),
        ("no such module in a package", [PACKAGE, "no module 'definitions_package.no_such"]),
        ("no such file", [FILE, "'no_such_file.py'", "/projects/no_such_file.py"]),
        ("no settings", [MODULE, PACKAGE, FILE, "none of them"]),
        ("contradicting settings", [f"{MODULE}=factory, {FILE}=factory.py"]),
    ],
)
def test_an_error_says_what_is_wrong(locations: Locations, project: str, words: list[str]) -> None:
    error = locations[project].get("error", "no error")
    assert [word for word in words if word not in error] == []


def test_off_the_platform_dagsters_own_defaults_stay(locations: Locations) -> None:
    jobs = repository(locations, "off the platform")["jobs"]
    assert {job["executor"] for job in jobs.values()} == {"multi_or_in_process_executor"}


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (
            "step_resources",
            "op hungry_op: memory: '12 potatoes' is not a valid Kubernetes quantity",
        ),
        ("too little", "op hungry_op: memory: 64Mi is too little"),
        (
            "dagster-k8s/config",
            "op hungry_op: tag dagster-k8s/config, resources.limits.cpu: 'lots' is not a valid",
        ),
        ("asset", "op hungry: max_memory: 512Mi is below memory: 1Gi"),
    ],
)
def test_a_step_that_requests_invalid_resources_is_a_load_error_that_names_it(
    locations: Locations, which: str, message: str
) -> None:
    error = locations[f"invalid: {which}"]["error"]
    assert message in error
    assert "invalid_resources.py" in error, "the traceback leads to the line to be changed"


def test_valid_resources_load(locations: Locations) -> None:
    assert repository(locations, "invalid: valid")["jobs"].keys() == {"hungry_job"}
