"""When assets and checks are requested."""

import dagster as dg

EAGER = (
    dg.AutomationCondition.eager()
    .replace("handled", dg.AutomationCondition.newly_requested())
    .with_label("eager, until it is requested")
)
"""For Dagster's own `eager`, an update is handled after any run, which may have read older data,
and after the daemon's first evaluation. Here it is handled only by a request. So assets that are
missing when this code location is added are requested at once."""

FOLLOW = (
    EAGER
    & ~dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.any_checks_match(
            dg.AutomationCondition.check_failed(), blocking_only=True
        )
    )
).with_label("eager, unless a blocking check of an upstream asset failed")
"""Within a run, Dagster stops after a failed check; this stops the runs after it."""
