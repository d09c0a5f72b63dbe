"""A platform in small: an instance with our launcher, over an API server that runs processes."""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.launcher import LaunchRunContext
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from packages.bulkhead.tests.test_runs.cluster import Cluster, environment_of_pods, kubeconfig_of

from bulkhead import names
from bulkhead.runs.kubernetes_launcher import KubernetesRunLauncher

PACKAGE = Path(__file__).parents[2]
PROJECTS = PACKAGE / "tests" / "projects"

WAIT_SECONDS = 60

RUN_RESOURCES = {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
STEP_RESOURCES = {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}


class Platform:
    """Runs jobs of the sample project `values_between_pods` as the code location `blue`."""

    def __init__(self, instance: dg.DagsterInstance, cluster: Any) -> None:
        self.instance = instance
        self.cluster = cluster

    @property
    def launcher(self) -> KubernetesRunLauncher:
        launcher = self.instance.run_launcher
        assert isinstance(launcher, KubernetesRunLauncher)
        return launcher

    def create_run(
        self,
        job_name: str,
        ops: Mapping[str, Any],
        tags: Mapping[str, str] | None = None,
        context: Mapping[str, Any] | None = None,
        host: str = "blue.bulkhead-blue.svc",
    ) -> dg.DagsterRun:
        repository = ReconstructableRepository(
            CodePointer.from_module("bulkhead.location", "defs", None),
            container_image="registry/blue@sha256:1",
            executable_path=sys.executable,
            entry_point=["dagster"],
            container_context={"k8s": {**container_context(), **(context or {})}},
        )
        location = GrpcServerCodeLocationOrigin(
            host=host, port=names.GRPC_PORT, location_name="blue"
        )
        return self.instance.create_run_for_job(
            load_project().defs.resolve_job_def(job_name),
            run_config={"ops": {name: {"config": config} for name, config in ops.items()}},
            tags=tags,
            job_code_origin=repository.get_reconstructable_job(job_name).get_python_origin(),
            remote_job_origin=RemoteJobOrigin(
                RemoteRepositoryOrigin(location, "__repository__"), job_name
            ),
        )

    def launch(self, *args: Any, **kwargs: Any) -> dg.DagsterRun:
        run = self.create_run(*args, **kwargs)
        self.launcher.launch_run(LaunchRunContext(run, workspace=None))
        return run

    def wait_for_end(self, run: dg.DagsterRun) -> dg.DagsterRunStatus:
        def finished() -> dg.DagsterRunStatus | None:
            current = self.instance.get_run_by_id(run.run_id)
            assert current
            return current.status if current.is_finished else None

        return self.wait_for(finished)

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """Return the first true value of the condition."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not (value := condition()):
            assert time.monotonic() < deadline, self.cluster.logs()
            time.sleep(0.05)
        return value

    def event_types(self, run: dg.DagsterRun, step_key: str) -> list[str]:
        return [
            entry.dagster_event.event_type_value
            for entry in self.instance.all_logs(run.run_id)
            if entry.dagster_event and entry.dagster_event.step_key == step_key
        ]


def container_context() -> dict[str, Any]:
    """What the chart of a code location puts into DAGSTER_CLI_API_GRPC_CONTAINER_CONTEXT."""
    settings = {
        names.CODE_LOCATION_ENV: "blue",
        names.DEFINITIONS_MODULE_ENV: "values_between_pods",
        # Files are shared between these processes as they are not between pods.
        "DAGSTER_DEFAULT_IO_MANAGER_MODULE": "dagster",
        "DAGSTER_DEFAULT_IO_MANAGER_ATTRIBUTE": "fs_io_manager",
    }
    return {
        "namespace": "bulkhead-blue",
        "service_account_name": names.STEP_SERVICE_ACCOUNT,
        "labels": {names.CODE_LOCATION_LABEL: "blue"},
        "env": [{"name": name, "value": value} for name, value in settings.items()],
        "resources": STEP_RESOURCES,
    }


def load_project() -> Any:
    spec = importlib.util.spec_from_file_location(
        "values_between_pods", PROJECTS / "values_between_pods.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Platform]:
    """The platform; pods stay pending in tests under `@pytest.mark.parametrize("platform", …)`."""
    kubeconfig = tmp_path / "kubeconfig"
    logs = tmp_path / "logs"
    logs.mkdir()
    cluster = Cluster(
        logs,
        environment={
            **environment_of_pods(),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([str(PACKAGE / "src"), str(PROJECTS)]),
        },
        runs_pods=getattr(request, "param", "running") == "running",
    )
    kubeconfig.write_text(json.dumps(kubeconfig_of(cluster.address)))
    home = tmp_path / "home"
    home.mkdir()
    pods_home = tmp_path / "pods-home"
    pods_home.mkdir()
    settings = yaml.safe_dump(instance_settings(home, pods_home, kubeconfig))
    (home / names.INSTANCE_CONFIG_KEY).write_text(settings)
    cluster.config_maps[names.INSTANCE_CONFIG_MAP] = {names.INSTANCE_CONFIG_KEY: settings}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield Platform(instance, cluster)
    cluster.close()


def instance_settings(home: Path, pods_home: Path, kubeconfig: Path) -> dict[str, Any]:
    return {
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(home)},
        },
        "storage": {"sqlite": {"base_dir": str(home / "history")}},
        "run_launcher": {
            "module": "bulkhead.launcher",
            "class": "NamespacedRunLauncher",
            "config": {
                "service_account_name": names.STEP_SERVICE_ACCOUNT,
                "job_namespace": names.PLATFORM_NAMESPACE,
                "instance_config_map": names.INSTANCE_CONFIG_MAP,
                "dagster_home": str(pods_home),
                "load_incluster_config": False,
                "kubeconfig_file": str(kubeconfig),
                "run_k8s_config": {
                    "pod_spec_config": {"security_context": {"run_as_non_root": True}}
                },
                "run_pod": {
                    "service_account_name": names.RUN_SERVICE_ACCOUNT,
                    "resources": RUN_RESOURCES,
                    "security_context": {"readOnlyRootFilesystem": True},
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                    "volume_mounts": [{"name": "tmp", "mountPath": "/tmp"}],
                },
            },
        },
        "run_monitoring": {"enabled": True, "max_resume_run_attempts": 2},
        "telemetry": {"enabled": False},
    }
