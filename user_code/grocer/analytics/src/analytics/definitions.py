"""What this code location offers to Dagster."""

import dagster as dg

from analytics import environment, project
from analytics.checks import daily_orders_look_usual
from analytics.environment import Environment
from analytics.models import models
from analytics.resources import resources


def definitions(env: Environment) -> dg.Definitions:
    """Put together the definitions of an environment."""
    return dg.Definitions(
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


defs = definitions(environment.current())
