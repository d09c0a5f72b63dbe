"""What Dagster imports is imported later, and works for whoever uses it."""

import subprocess
import sys


def said(code: str) -> str:
    begin = "import sys\nfrom bulkhead.steps.put_off import put_off\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + code], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_dagsters_storages_are_imported_without_alembic() -> None:
    code = """
with put_off("alembic"):
    import dagster_postgres
print(sorted(name for name in sys.modules if name.startswith("alembic")))
"""
    assert said(code) == "[]"


def test_code_of_the_step_gets_the_whole_of_it() -> None:
    code = """
before = list(sys.meta_path)
with put_off("alembic"):
    import dagster_postgres
import alembic
from alembic.config import Config
print(alembic.__version__ and Config.__module__, before[0] is sys.meta_path[0])
"""
    assert said(code) == "alembic.config True"


def test_an_instance_that_makes_its_own_tables_has_it_when_it_needs_it() -> None:
    code = """
import dagster as dg
with put_off("alembic"):
    import dagster_postgres
from dagster._core.test_utils import create_run_for_test
with dg.DagsterInstance.ephemeral() as instance:
    run = create_run_for_test(instance)
    instance.report_engine_event("hello", run)
    print(len(instance.all_logs(run.run_id)), "alembic.command" in sys.modules)
"""
    assert said(code) == "1 True"


def test_what_was_imported_before_stays() -> None:
    code = """
import alembic
with put_off("alembic"):
    import alembic.config
print(alembic.config.Config.__module__)
"""
    assert said(code) == "alembic.config"
