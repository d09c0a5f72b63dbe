"""`bulkhead workspace-sync`."""

from pathlib import Path

import click

from bulkhead import names


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
    import logging
    import signal
    import time

    from bulkhead.discovery.kubernetes_api import KubernetesApi, OutsideClusterError
    from bulkhead.discovery.sync import Settings, WorkspaceSync

    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%SZ",
    )
    logging.Formatter.converter = time.gmtime
    # It warns of each request that is tried again; what matters of that is logged here.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        api = KubernetesApi.in_cluster()
        settings = Settings(
            registry=registry,
            namespace=namespace or KubernetesApi.own_namespace(),
            output=output,
            reload_url=reload_url,
            port=port,
        )
        sync = WorkspaceSync(api, settings)
    except OutsideClusterError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"port {port}: {error.strerror}. Choose another --port."
        ) from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sync.stop())
    sync.run()
