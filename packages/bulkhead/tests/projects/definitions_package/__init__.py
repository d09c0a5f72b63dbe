"""A package whose definitions are assembled from a module beside them."""

import dagster as dg

from definitions_package.ops import say

defs = dg.Definitions(jobs=[dg.JobDefinition(graph_def=say, name="package_job")])
