"""What Dagster imports is imported later, and works for whoever uses it."""

import subprocess
import sys
from pathlib import Path

from dagster import DagsterInstance
from dagster._core.instance import InstanceRef
from dagster._serdes import serialize_value
from packages.bulkhead.tests.postgresql_server import Database


def said(code: str) -> str:
    begin = "import sys\nfrom bulkhead.steps.deferred_imports import defer, defer_init\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + code], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_dagsters_storages_are_imported_without_alembic() -> None:
    code = """
with defer("alembic"):
    import dagster_postgres
print(sorted(name for name in sys.modules if name.startswith("alembic")))
"""
    assert said(code) == "[]"


def test_code_of_the_step_gets_the_whole_of_it() -> None:
    code = """
before = list(sys.meta_path)
with defer("alembic"):
    import dagster_postgres
import alembic
from alembic.config import Config
print(alembic.__version__ and Config.__module__, before[0] is sys.meta_path[0])
"""
    assert said(code) == "alembic.config True"


def test_an_instance_that_makes_its_own_tables_has_it_when_it_needs_it() -> None:
    code = """
import dagster as dg
with defer("alembic"):
    import dagster_postgres
from dagster._core.test_utils import create_run_for_test
with dg.DagsterInstance.ephemeral() as instance:
    run = create_run_for_test(instance)
    instance.report_engine_event("hello", run)
    print(len(instance.all_logs(run.run_id)), "alembic.command" in sys.modules)
"""
    assert said(code) == "1 True"


def test_what_is_used_meanwhile_is_imported_then() -> None:
    code = """
with defer("alembic"):
    from alembic import command
    from alembic.config import Config
    print(type(Config()).__module__, command.stamp.__module__)
    from alembic.script import ScriptDirectory
print(ScriptDirectory.__module__, any("deferred" in repr(finder) for finder in sys.meta_path))
"""
    assert said(code).splitlines() == [
        "alembic.config alembic.command",
        "alembic.script.base False",
    ]


def test_what_was_imported_before_stays() -> None:
    code = """
import alembic
with defer("alembic"):
    import alembic.config
print(alembic.config.Config.__module__)
"""
    assert said(code) == "alembic.config"


def test_the_instance_of_a_step_is_opened_without_alembic_and_daemons(database: Database) -> None:
    database.configure(autocreate=True)
    with DagsterInstance.from_config(str(database.home)) as instance:
        ref = serialize_value(instance.get_ref())
    code = f"""
from dagster._serdes import deserialize_value
from bulkhead.steps.worker import open_instance
with open_instance(deserialize_value({ref!r})) as instance:
    print(instance.get_runs_count(), instance.event_log_storage.is_persistent)
print(sorted(name for name in sys.modules if name.startswith(("alembic", "dagster._daemon"))))
"""
    assert said(code).splitlines() == ["0 True", "['dagster._daemon', 'dagster._daemon.types']"]


def test_an_instance_on_sqlite_is_opened_with_the_alembic_that_it_needs(tmp_path: Path) -> None:
    ref = serialize_value(InstanceRef.from_dir(str(tmp_path)))
    code = f"""
from dagster._serdes import deserialize_value
from bulkhead.steps.worker import open_instance
with open_instance(deserialize_value({ref!r})) as instance:
    print(instance.get_runs_count(), "alembic.config" in sys.modules)
"""
    assert said(code) == "0 True"


def test_a_package_whose_init_was_deferred_is_whole_for_later_imports() -> None:
    code = """
import dagster
defer_init("dagster._daemon")
import dagster._daemon.types
print("dagster._daemon.controller" in sys.modules)
from dagster._daemon import DaemonHeartbeat, SensorDaemon
print(DaemonHeartbeat is dagster._daemon.types.DaemonHeartbeat, SensorDaemon.__module__)
print(hasattr(dagster._daemon, "nonsense"))
"""
    assert said(code).splitlines() == ["False", "True dagster._daemon.daemon", "False"]


def test_a_package_that_was_imported_before_stays() -> None:
    code = """
import dagster._daemon
before = dagster._daemon
defer_init("dagster._daemon")
print(dagster._daemon is before is sys.modules["dagster._daemon"])
"""
    assert said(code) == "True"
