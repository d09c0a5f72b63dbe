"""`bulkhead reconcile`."""

from typing import TYPE_CHECKING

import click

from bulkhead import names
from bulkhead.commands.in_pod import run_in_pod

if TYPE_CHECKING:
    from bulkhead.kube.api import KubernetesApi
    from bulkhead.reconciler.reconciler import Reconciler


@click.command("reconcile", short_help="Remove steps that outlived their run (in a pod).")
@click.option("--registry", required=True, help="ConfigMap that registers the code locations.")
@click.option("--graphql", required=True, help="GraphQL address of the web server.")
@click.option("--namespace", help="Namespace of the registry.  [default: this pod's]")
@click.option(
    "--interval",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option(
    "--grace",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    help="Seconds that a step may take to end after its run.",
)
@click.option(
    "--port",
    default=names.RECONCILER_PORT,
    show_default=True,
    help="Port of /readyz and /healthz.",
)
def reconcile(
    *, registry: str, graphql: str, namespace: str | None, interval: int, grace: int, port: int
) -> None:
    """Remove steps that are still there when their run has ended (runs in the platform's pods)."""

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
