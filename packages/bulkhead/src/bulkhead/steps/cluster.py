"""What reaches the Jobs and pods of one run's steps."""

from typing import NamedTuple

from bulkhead import names
from bulkhead.dagster_compat import DagsterKubernetesClient, api_configuration
from bulkhead.kube.api import KubernetesApi
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.growth import InPlaceGrowth
from bulkhead.steps.growth_channel import GrowthChannel
from bulkhead.steps.step_jobs import StepJobs
from bulkhead.steps.watch import StepWatch


class StepCluster(NamedTuple):
    """The Jobs of a run's steps, the watch over their pods, and what makes them grow."""

    jobs: StepJobs
    watch: StepWatch
    growth: InPlaceGrowth
    channel: GrowthChannel


def connect(
    client: DagsterKubernetesClient, namespace: str, run_id: str, ceiling: Ceiling
) -> StepCluster:
    """Start to watch the pods of a run's steps.

    Args:
        client: its connection is used.
        namespace: of the run.
        run_id: of the run.
        ceiling: the largest step of the code location.
    """
    api = KubernetesApi.of_configuration(api_configuration(client))
    jobs = StepJobs(api, namespace)
    selector = f"{names.RUN_ID_LABEL}={run_id},{names.STEP_KEY_LABEL}"
    watch = StepWatch(api, namespace, selector)
    watch.start()
    growth = InPlaceGrowth(jobs, watch, ceiling)
    return StepCluster(jobs, watch, growth, GrowthChannel(growth.grow))
