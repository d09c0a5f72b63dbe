"""`bulkhead reconcile`."""

from typing import TYPE_CHECKING

import click

from bulkhead import names
from bulkhead.commands.in_pod import run_in_pod

if TYPE_CHECKING:
    from bulkhead.kube.api import KubernetesApi
    from bulkhead.reconciler.reconciler import Reconciler


@click.command("reconcile", short_help="Remove steps whose run has ended (runs in a pod).")
@click.option(
    "--registry", required=True, help="Name of the ConfigMap that registers the code locations."
)
@click.option("--graphql", required=True, help="URL of the web server's GraphQL API.")
@click.option("--namespace", help="Namespace of the registry.  [default: the pod's]")
@click.option(
    "--interval",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="Seconds between two checks.",
)
@click.option(
    "--grace",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    help="Seconds that a step has to end after its run has ended.",
)
@click.option(
    "--port",
    default=names.RECONCILER_PORT,
    show_default=True,
    help="Port that serves /readyz and /healthz.",
)
def reconcile(
    *, registry: str, graphql: str, namespace: str | None, interval: int, grace: int, port: int
) -> None:
    """Remove steps that still run after their run has ended.

    The chart runs this command in the daemon's pod.
    """

    def make(api: "KubernetesApi") -> "Reconciler":
        from bulkhead.reconciler.reconciler import Reconciler, Settings

        settings = Settings(
            registry=registry,
            namespace=namespace or api.own_namespace(),
            graphql=graphql,
            interval=interval,
            grace=grace,
            port=port,
        )
        return Reconciler(api, settings)

    run_in_pod(make, port=port)
