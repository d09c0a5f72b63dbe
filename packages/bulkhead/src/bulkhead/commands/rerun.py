"""`bulkhead rerun`."""

import click

from bulkhead.commands.options import installation_options


@click.command(short_help="Launch a run again, with the live code or its original image.")
@click.argument("run")
@click.option(
    "--original-image",
    is_flag=True,
    help="With the image that the run had.  [default: the code that is live now]",
)
@click.option(
    "--from-failure", is_flag=True, help="Only the steps that failed, and those after them."
)
@installation_options
def rerun(
    *,
    run: str,
    original_image: bool,
    from_failure: bool,
    context: str | None,
    namespace: str,
    release: str,
    as_json: bool,
) -> None:
    """Launch RUN again, with its configuration and its tags. RUN is the id of a run.

    By default, the new run has the image of the code server that is live. With --original-image,
    its pod and the pods of its steps have the image that RUN had. That image must still be in the
    registry, and an executor that is not Bulkhead's does not use it for its steps.

    Dagster makes the list of steps with the code that is live, also with --original-image.

    The new run is queued as any other. It needs the right to create services/proxy in the
    platform's namespace. The exit code is 0 if it was launched, else 1; 2 for an invalid call.
    """
    import json
    from dataclasses import asdict

    from bulkhead.deploy import rerun as reruns
    from bulkhead.deploy.rerun import RerunError
    from bulkhead.kube.api import KubernetesApiError
    from bulkhead.kube.kubeconfig import from_kubeconfig
    from bulkhead.webserver_api.client import GraphQLClient
    from bulkhead.webserver_api.errors import WebServerError
    from bulkhead.webserver_api.transports import ProxyTransport

    try:
        client = GraphQLClient(ProxyTransport(from_kubeconfig(context), release, namespace))
        done = reruns.rerun(client, run, original_image=original_image, from_failure=from_failure)
    except RerunError as error:
        raise click.ClickException(str(error)) from error
    except (KubernetesApiError, WebServerError) as error:
        # An error with an HTTP status comes from the API server, or from the web server through it.
        hint = (
            f". Check that you may get and create services/proxy in namespace {namespace}, that "
            "the web server runs (`bulkhead doctor`), and that --release and --namespace name the "
            "platform's Helm release and namespace."
        )
        raise click.ClickException(
            f"{str(error).rstrip('.')}{hint if error.status else '.'}"
        ) from error
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
        return
    image = done.image or "the code that is live"
    click.echo(f"Run {done.run_id} of job {done.job} of code location {done.location} is launched.")
    click.echo(f"It repeats run {done.parent}, with {image}.")
