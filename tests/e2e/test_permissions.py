"""Permissions of deployers, runs and steps: each denied verb is tried."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e import permissions, pods, team_code
from tests.e2e.cluster import (
    ApiException,
    create_namespace,
    delete_namespace,
    kubeconfig_with,
    status_of,
)
from tests.e2e.dagster_client import FAILURE
from tests.e2e.helm import Helm
from tests.e2e.installation import HELLO_NAMESPACE, PLATFORM
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation

TEAM = "team"
DEPLOYER, DEPLOYER_NAMESPACE = "deployer", "bulkhead-e2e-deployer"

# Every authenticated identity of a Kubernetes cluster may query its name and its permissions.
# ClusterRole system:basic-user.
ANYBODY = permissions.rights(
    {
        "authorization.k8s.io/selfsubjectaccessreviews": "create",
        "authorization.k8s.io/selfsubjectrulesreviews": "create",
        "authentication.k8s.io/selfsubjectreviews": "create",
    }
)

DEPLOYER_RIGHTS = permissions.rights(
    {
        "apps/deployments": "get list watch create patch delete",
        "services": "get list watch create patch delete",
        "configmaps": "get list watch create update patch delete",
        "apps/replicasets": "get list watch",
        "pods": "get list watch create delete",  # the pod that loads the definitions
        "pods/log": "get",
        "batch/jobs": "get list",  # the images that runs still use
        "events": "get list watch create patch",
        "coordination.k8s.io/leases": "get create update patch delete",  # the lock of a deploy
    }
)

RUN_RIGHTS = permissions.rights(
    {
        "batch/jobs": "get list watch create patch delete",
        "batch/jobs/status": "get",
        "pods/resize": "patch",  # growth of a step while it runs
        "pods": "get list watch delete",
        "pods/log": "get",
        "events": "get list watch",
    }
)

CODE = """
import dagster as dg

@dg.op
def deployed():
    print("deployed by the team")

@dg.job
def work():
    deployed()

defs = dg.Definitions(jobs=[work])
"""

TRESPASSING_CODE = """
import dagster as dg

@dg.op
def step():
    print("in another's namespace")

@dg.job
def trespass():
    step()

defs = dg.Definitions(jobs=[trespass])
"""


@pytest.fixture(scope="module")
def deployer(kube: Kube, registered: dict[str, Any]) -> Iterator[Kube]:
    """The Kubernetes API as the deployer of code location `team`, with only a token."""
    del registered
    create_namespace(kube, DEPLOYER_NAMESPACE)
    account = {"metadata": {"name": DEPLOYER}}
    kube.core.create_namespaced_service_account(DEPLOYER_NAMESPACE, account)
    yield kube.with_token(kube.token_of(DEPLOYER_NAMESPACE, DEPLOYER))
    delete_namespace(kube, DEPLOYER_NAMESPACE)


@pytest.fixture
def deployers_helm(kube: Kube, deployer: Kube, tmp_path: Path) -> Helm:
    """Helm with the deployer's token, its releases in ConfigMaps."""
    del deployer
    token = kube.token_of(DEPLOYER_NAMESPACE, DEPLOYER)
    path = kubeconfig_with(token, tmp_path / "kubeconfig")
    return Helm(path, {"HELM_DRIVER": "configmap"})


@pytest.mark.timeout(240)
def test_an_unprivileged_deployer_installs_upgrades_and_removes_its_code_location(
    kube: Kube,
    platform: Installation,
    dagster: Dagster,
    registered: dict[str, Any],
    deployers_helm: Helm,
) -> None:
    namespace = registered[TEAM]["namespace"]
    values = team_code.values(kube, namespace, CODE)
    platform.deploy(TEAM, namespace, "hello", values, helm=deployers_helm)
    dagster.loaded(TEAM, 10)
    run = dagster.launch(TEAM, "work")

    changed = {**values, "env": [{"name": "COLOUR", "value": "blue"}]}
    platform.deploy(TEAM, namespace, "hello", changed, helm=deployers_helm)
    dagster.succeed(run)

    deployers_helm.uninstall(TEAM, namespace)
    until(
        lambda: not (left := pods.long_lived(kube, namespace)) or NotYet(left),
        60,
        "the removed code server to go",
    )


@pytest.mark.timeout(240)
def test_a_deployer_may_do_nothing_but_deploy_its_own_code_location(
    kube: Kube, deployer: Kube, registered: dict[str, Any]
) -> None:
    served = permissions.resources(kube)
    own = permissions.rights_in(deployer, served, registered[TEAM]["namespace"])
    assert own == DEPLOYER_RIGHTS
    for elsewhere in (HELLO_NAMESPACE, PLATFORM, DEPLOYER_NAMESPACE, "kube-system"):
        assert permissions.rights_in(deployer, served, elsewhere) == set(), elsewhere
    assert permissions.rights_everywhere(deployer, served) == ANYBODY


@pytest.mark.timeout(60)
def test_a_deployer_cannot_read_a_secret_run_a_command_or_take_an_account(
    kube: Kube, deployer: Kube, registered: dict[str, Any]
) -> None:
    """The most dangerous requests, on objects that exist."""
    namespace = registered[TEAM]["namespace"]
    core = f"/api/v1/namespaces/{namespace}"
    secret = kube.core.list_namespaced_secret(namespace).items[0].metadata.name
    attempts = {
        f"{core}/secrets/{secret}": "GET",
        f"{core}/secrets": "GET",
        f"{core}/serviceaccounts/bulkhead-run/token": "POST",
        f"/api/v1/namespaces/{HELLO_NAMESPACE}/pods": "GET",
        "/api/v1/namespaces": "GET",
    }
    for path, method in attempts.items():
        with pytest.raises(ApiException) as error:
            deployer.request(method, path, body={} if method == "POST" else None)
        assert status_of(error.value) == 403, f"{method} {path}"
    pod = pods.restricted_pod("of-a-deployer", namespace, ["sleep", "60"])
    pods.create(deployer, pod)
    path = f"{core}/pods/of-a-deployer"
    for part in ("exec", "attach", "portforward", "ephemeralcontainers"):
        method = "PATCH" if part == "ephemeralcontainers" else "POST"
        with pytest.raises(ApiException) as error:
            deployer.request(method, f"{path}/{part}", body={})
        assert status_of(error.value) == 403, f"{method} {part}"
    deployer.request("DELETE", path)


@pytest.mark.timeout(240)
def test_a_runs_service_account_manages_jobs_in_its_own_namespace_and_nothing_elsewhere(
    kube: Kube, registered: dict[str, Any]
) -> None:
    run = kube.with_token(kube.token_of(HELLO_NAMESPACE, "bulkhead-run"))
    served = permissions.resources(kube)
    own = permissions.rights_in(run, served, HELLO_NAMESPACE)
    assert own == RUN_RIGHTS
    for elsewhere in (registered[TEAM]["namespace"], PLATFORM, "kube-system"):
        assert permissions.rights_in(run, served, elsewhere) == set(), elsewhere
    assert permissions.rights_everywhere(run, served) == ANYBODY


@pytest.mark.timeout(60)
@pytest.mark.parametrize("account", ["bulkhead-step", "bulkhead-code-server"])
def test_the_accounts_of_steps_and_code_servers_may_do_nothing(kube: Kube, account: str) -> None:
    identity = kube.with_token(kube.token_of(HELLO_NAMESPACE, account))
    served = permissions.resources(kube)
    assert permissions.rights_in(identity, served, HELLO_NAMESPACE) == set()


@pytest.mark.timeout(240)
def test_a_code_server_cannot_have_its_runs_launched_in_another_locations_namespace(
    kube: Kube,
    platform: Installation,
    dagster: Dagster,
    registered: dict[str, Any],
    deployers_helm: Helm,
) -> None:
    """The deployer overrides the container context that the chart sets in its code server."""
    namespace = registered[TEAM]["namespace"]
    context = {"k8s": {"namespace": HELLO_NAMESPACE, "service_account_name": "bulkhead-run"}}
    announced = {
        "name": "DAGSTER_CLI_API_GRPC_CONTAINER_CONTEXT",
        "value": json.dumps(context),
    }
    values = {**team_code.values(kube, namespace, TRESPASSING_CODE), "env": [announced]}
    platform.deploy(TEAM, namespace, "hello", values, helm=deployers_helm)

    def shows_the_code() -> bool | NotYet:
        jobs = dagster.loaded(TEAM).jobs
        return "trespass" in jobs or NotYet(sorted(jobs))

    until(shows_the_code, 60, "the code with the other namespace to be loaded")
    run = dagster.launch(TEAM, "trespass")
    assert dagster.finish(run) == FAILURE

    log = "\n".join(f"{event.message}\n{event.error}" for event in dagster.events(run))
    assert f"container context of its code server is {HELLO_NAMESPACE!r}" in log
    assert f"Its code server is in namespace {namespace!r}" in log
    for where in (HELLO_NAMESPACE, namespace):
        jobs = kube.batch.list_namespaced_job(where, label_selector=f"{pods.RUN_ID}={run}").items
        assert jobs == [], where

    deployers_helm.uninstall(TEAM, namespace)
