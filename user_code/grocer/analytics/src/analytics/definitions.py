"""The definitions of this code location."""

import dagster as dg

from analytics import environment, project
from analytics.checks import daily_orders_look_usual
from analytics.environment import Environment
from analytics.models import models
from analytics.resources import resources
from analytics.upstream import reject_unknown


def definitions(env: Environment) -> dg.Definitions:
    """Return the definitions of an environment.

    Raises:
        DagsterInvalidDefinitionError: an asset depends on an unknown asset key.
    """
    everything = dg.Definitions(
        assets=models(project.manifest(env)),
        asset_checks=[daily_orders_look_usual],
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "follow_the_orders",
                target=dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks(),
                default_status=dg.DefaultSensorStatus.RUNNING,
                minimum_interval_seconds=10,
            )
        ],
        resources=resources(env),
    )
    return reject_unknown(everything)


defs = definitions(environment.current())
