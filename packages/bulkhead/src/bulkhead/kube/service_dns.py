"""The DNS name of a code server's Service, and the namespace that it names.

https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

import re
from typing import Final

from dagster import DagsterRun

from bulkhead.dagster_compat import GrpcServerCodeLocationOrigin

# With or without the domain of the cluster.
_SERVICE_HOST: Final = re.compile(r"[^.]+\.(?P<namespace>[^.]+)\.svc(\..+)?")


def namespace_of_code_server(run: DagsterRun) -> str | None:
    """Return the namespace in which the platform reaches the code server of a run.

    Returns:
        None where the run does not come from a code server, and where the code server's host is not
        the name of a Service.
    """
    if not run.remote_job_origin:
        return None
    origin = run.remote_job_origin.repository_origin.code_location_origin
    if not isinstance(origin, GrpcServerCodeLocationOrigin):
        return None
    match = _SERVICE_HOST.fullmatch(origin.host)
    return match["namespace"] if match else None
