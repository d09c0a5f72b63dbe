"""The definitions of this code location."""

import dagster as dg

from ml import assets, environment
from ml.environment import Environment
from ml.resources import resources
from ml.upstream import reject_unknown


def definitions(env: Environment) -> dg.Definitions:
    """Return the definitions of an environment.

    Raises:
        DagsterInvalidDefinitionError: an asset depends on an unknown asset key.
    """
    everything = dg.Definitions(
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
    return reject_unknown(everything)


defs = definitions(environment.current())
