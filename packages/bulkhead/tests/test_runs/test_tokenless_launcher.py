"""Which launcher a process gets, by what its pod is given."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import RunLauncher
from dagster._serdes import ConfigurableClassData
from packages.bulkhead.tests.test_runs.cluster import kubeconfig_of

from bulkhead.runs.kubernetes_launcher import KubernetesRunLauncher
from bulkhead.runs.tokenless_launcher import TokenlessRunLauncher


def launcher_of(config: Mapping[str, Any]) -> RunLauncher:
    data = ConfigurableClassData("bulkhead.launcher", "NamespacedRunLauncher", json.dumps(config))
    return data.rehydrate(as_type=RunLauncher)


def test_a_pod_without_a_token_opens_the_instance_and_launches_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    tokenless = launcher_of({"service_account_name": "bulkhead-step", "run_pod": {}})
    assert isinstance(tokenless, TokenlessRunLauncher)
    assert tokenless.supports_resume_run
    with pytest.raises(RuntimeError, match="no Kubernetes token, so it cannot terminate run 7"):
        tokenless.terminate("7")


def test_off_the_cluster_the_launcher_connects_as_its_config_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(kubeconfig_of("http://127.0.0.1:9")))
    launcher = launcher_of(
        {
            "service_account_name": "bulkhead-step",
            "instance_config_map": "bulkhead-instance",
            "dagster_home": "/opt/dagster/home",
            "load_incluster_config": False,
            "kubeconfig_file": str(kubeconfig),
            "run_pod": {"service_account_name": "bulkhead-run"},
        }
    )
    assert isinstance(launcher, KubernetesRunLauncher)


def test_the_launchers_config_is_checked_where_it_launches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(dg.DagsterInvalidConfigError, match="run_pod"):
        launcher_of({"service_account_name": "bulkhead-step", "instance_config_map": "x"})
