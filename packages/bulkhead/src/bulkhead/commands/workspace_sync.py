"""`bulkhead workspace-sync`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulkhead import names
from bulkhead.commands.in_pod import run_in_pod

if TYPE_CHECKING:
    from bulkhead.discovery.sync import WorkspaceSync
    from bulkhead.kube.api import KubernetesApi


@click.command("workspace-sync", short_help="Keep workspace.yaml up to date (runs in a pod).")
@click.option(
    "--registry", required=True, help="Name of the ConfigMap that registers the code locations."
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Path of the workspace.yaml to write.",
)
@click.option(
    "--reload",
    "reload_url",
    help="URL of the GraphQL API of a web server to reload after each change.",
)
@click.option("--namespace", help="Namespace of the registry.  [default: the pod's]")
@click.option(
    "--port",
    default=names.WORKSPACE_SYNC_PORT,
    show_default=True,
    help="Port that serves /readyz and /healthz.",
)
def workspace_sync(
    registry: str, output: Path, reload_url: str | None, namespace: str | None, port: int
) -> None:
    """Keep workspace.yaml up to date with the registered code locations.

    The chart runs this command in the pods of the web server and the daemon.
    """

    def make(api: "KubernetesApi") -> "WorkspaceSync":
        from bulkhead.discovery.sync import Settings, WorkspaceSync

        settings = Settings(
            registry=registry,
            namespace=namespace or api.own_namespace(),
            output=output,
            reload_url=reload_url,
            port=port,
        )
        return WorkspaceSync(api, settings)

    run_in_pod(make, port=port)
