"""An op or asset that requests the resources that `RESOURCES` names."""

import os

import dagster as dg

from bulkhead.steps import step_resources

TAGS = {
    "step_resources": step_resources(memory="12 potatoes"),
    "too little": step_resources(memory="64Mi"),
    "dagster-k8s/config": {
        "dagster-k8s/config": {"container_config": {"resources": {"limits": {"cpu": "lots"}}}}
    },
    "asset": step_resources(memory="1Gi", max_memory="512Mi"),
    "valid": step_resources(memory="512Mi", cpu=0.5, max_memory="2Gi", timeout="30m"),
}
CHOSEN = os.environ["RESOURCES"]

if CHOSEN == "asset":

    @dg.asset(op_tags=TAGS[CHOSEN])
    def hungry() -> None: ...

    defs = dg.Definitions(assets=[hungry])
else:

    @dg.op(tags=TAGS[CHOSEN])
    def hungry_op() -> None: ...

    @dg.job
    def hungry_job() -> None:
        hungry_op()

    defs = dg.Definitions(jobs=[hungry_job])
