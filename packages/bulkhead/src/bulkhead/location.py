"""The module that a code location's code server, run pods and step pods load.

    dagster api grpc --module-name bulkhead.location …

Importing it imports the team's own code, found through the `BULKHEAD_DEFINITIONS_*` settings, and
puts what Dagster would load from there into this module's namespace, object for object. Dagster
then finds it here as it would have found it there: nothing is copied or rebuilt, so nothing of the
team's metadata, schedules, checks or component tree can get lost.

Where the platform is (`BULKHEAD_CODE_LOCATION` is set), jobs that name no executor run each step in
a pod of its own, and values of jobs that name no IO manager go to the object store. On a laptop
(`dagster dev -m bulkhead.location`) Dagster's own defaults stay. Here as there, a step that asks
for resources that make no sense is a load error that names the op.
"""

import os

from bulkhead import names
from bulkhead.code_location.checks import refuse_nonsense
from bulkhead.code_location.defaults import supply_defaults
from bulkhead.code_location.target import load_targets

if os.environ.get(names.CODE_LOCATION_ENV):
    supply_defaults()

refuse_nonsense()
globals().update(load_targets())
