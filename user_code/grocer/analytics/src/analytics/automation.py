"""When an asset or a check follows what it is made from."""

import dagster as dg

ONCE_ASKED_FOR = (
    dg.AutomationCondition.newly_requested() | dg.AutomationCondition.initial_evaluation()
)

EAGER = (
    dg.AutomationCondition.eager()
    .replace("handled", ONCE_ASKED_FOR)
    .with_label("eager, also after an update that came while a run was under way")
)
"""Dagster's own `eager` takes the end of any run for an answer to all updates before it. One that
came while the run was under way, which may have read what was there before, would be forgotten."""

FOLLOW = (
    EAGER
    & ~dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.any_checks_match(
            dg.AutomationCondition.check_failed(), blocking_only=True
        )
    )
).with_label("eager, unless a test has found what it is made from to be wrong")
"""Within a run Dagster stops after a failed test by itself; this holds the runs that follow."""
