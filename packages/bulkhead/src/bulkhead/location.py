"""The module that a code location's code server, run pods and step pods load.

    dagster api grpc --module-name bulkhead.location …

Importing it imports the team's own code, which the `BULKHEAD_DEFINITIONS_*` settings name, and puts
the objects that Dagster would load from there into this module's namespace. Dagster then finds the
same objects here. Nothing is copied or rebuilt, so nothing of the team's metadata, schedules,
checks or component tree is lost.

On the platform (`BULKHEAD_CODE_LOCATION` is set), jobs that name no executor run each step in its
own pod, and values of jobs that name no IO manager go to the object store. On a laptop
(`dagster dev -m bulkhead.location`) Dagster's own defaults stay. In both places, a step that
requests invalid resources is a load error that names the op.
"""

import os

from bulkhead import names
from bulkhead.code_location.checks import reject_invalid_resources
from bulkhead.code_location.defaults import supply_defaults
from bulkhead.code_location.target import load_targets

if os.environ.get(names.CODE_LOCATION_ENV):
    supply_defaults()

reject_invalid_resources()
globals().update(load_targets())
