"""What this code location offers to Dagster."""

import dagster as dg

from ml import assets, environment
from ml.environment import Environment
from ml.resources import resources


def definitions(env: Environment) -> dg.Definitions:
    """Put together the definitions of an environment."""
    return dg.Definitions(
        assets=[
            assets.order_forecast_model,
            assets.predicted_orders,
            assets.store_flyer,
            assets.next_week_shoppers,
        ],
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "follow_the_figures",
                target=dg.AssetSelection.all(),
                default_status=dg.DefaultSensorStatus.RUNNING,
                minimum_interval_seconds=10,
            )
        ],
        resources=resources(env),
    )


defs = definitions(environment.current())
