"""When an asset or a check follows what it is made from."""

import dagster as dg

EAGER = (
    dg.AutomationCondition.eager()
    .replace("handled", dg.AutomationCondition.newly_requested())
    .with_label("eager, until it was asked for")
)
"""Dagster's own `eager` takes two things for an answer to all that came before them: the end of
any run, though that may have read what was there before, and the daemon's first look. Here nothing
but a request is one; so what is missing when this joins is made as soon as it can be."""

FOLLOW = (
    EAGER
    & ~dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.any_checks_match(
            dg.AutomationCondition.check_failed(), blocking_only=True
        )
    )
).with_label("eager, unless a test has found what it is made from to be wrong")
"""Within a run Dagster stops after a failed test by itself; this holds the runs that follow."""
