"""`bulkhead workspace-sync`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulkhead import names
from bulkhead.commands.in_pod import run_in_pod

if TYPE_CHECKING:
    from bulkhead.discovery.sync import WorkspaceSync
    from bulkhead.kube.api import KubernetesApi


@click.command("workspace-sync", short_help="Keep workspace.yaml up to date (in a pod).")
@click.option("--registry", required=True, help="ConfigMap that registers the code locations.")
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The workspace.yaml to write.",
)
@click.option(
    "--reload", "reload_url", help="GraphQL address of the web server to keep up to date."
)
@click.option("--namespace", help="Namespace of the registry.  [default: this pod's]")
@click.option(
    "--port",
    default=names.WORKSPACE_SYNC_PORT,
    show_default=True,
    help="Port of /readyz and /healthz.",
)
def workspace_sync(
    registry: str, output: Path, reload_url: str | None, namespace: str | None, port: int
) -> None:
    """Keep workspace.yaml equal to the code locations that exist (runs in the platform's pods)."""

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
