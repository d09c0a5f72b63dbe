#!/usr/bin/env python3
"""Run SeaweedFS as an S3 object store on ``/data``, with one bucket.

``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``, which ``weed`` reads itself, are the only
credentials it accepts; ``BULKHEAD_OBJECT_STORE_BUCKET`` is made on start where it is missing.
``/tmp/ready`` is there once what was stored before can be read; ``weed``'s own health check says
yes some seconds earlier.
Arguments go to ``weed server`` as they are.
"""

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOPBACK = "127.0.0.1"
FILER_PORT = 8888
"""Of ``weed``'s own file service, through which a bucket is made; reached from inside only."""


MASTER_PORT = 9333
"""Of ``weed``'s directory of volumes; reached from inside only."""

READY = Path("/tmp/ready")  # noqa: S108 - the container's own


def main() -> int:
    """Run ``weed`` until it ends, and hand it the signals that ask for that.

    Returns:
        Its exit code; 128 and the signal's number where a signal ended it.

    Raises:
        SystemExit: a setting is missing.
    """
    setting("AWS_ACCESS_KEY_ID")
    setting("AWS_SECRET_ACCESS_KEY")
    bucket = setting("BULKHEAD_OBJECT_STORE_BUCKET")
    READY.unlink(missing_ok=True)  # of the container before this one: a pod keeps its /tmp
    weed = subprocess.Popen(command(sys.argv[1:]))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: weed.send_signal(received))
    while weed.poll() is None:
        if make_bucket(bucket) and knows_volumes():
            READY.touch()
            break
        time.sleep(0.2)
    code = weed.wait()
    return code if code >= 0 else 128 - code


def setting(name: str) -> str:
    """Return an environment variable.

    Raises:
        SystemExit: it is missing or empty. Without credentials ``weed`` would let everybody in.
    """
    value = os.environ.get(name, "")
    if not value:
        raise SystemExit(f"seaweedfs: the environment variable {name} is missing; set it.")
    return value


def command(arguments: list[str]) -> list[str]:
    """Return the call of ``weed``: S3 for everybody, its unprotected parts on loopback alone."""
    return [
        "weed",
        "-logtostderr",
        "server",
        "-dir=/data",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        f"-filer.port={FILER_PORT}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        # One process serves all parts: nobody has to learn first that this one is going.
        "-volume.preStopSeconds=0",
        "-s3",
        "-s3.port=8333",
        "-s3.ip.bind=0.0.0.0",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        *arguments,
    ]


def make_bucket(name: str) -> bool:
    """Make a bucket, or find that it is there.

    Returns:
        Whether it exists now; not so as long as ``weed`` is still starting.
    """
    # A conflict says that it is there.
    return ask(FILER_PORT, "POST", f"/buckets/{name}/") in {
        http.HTTPStatus.OK,
        http.HTTPStatus.CREATED,
        http.HTTPStatus.CONFLICT,
    }


def knows_volumes() -> bool:
    """Ask for a place for an object: there is one as soon as the volumes have been announced."""
    return ask(MASTER_PORT, "GET", "/dir/assign") == http.HTTPStatus.OK


def ask(port: int, method: str, path: str) -> int:
    """Return the status that a part of ``weed`` answers with; 0 while it does not answer."""
    part = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        part.request(method, path)
        return part.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        part.close()


if __name__ == "__main__":
    sys.exit(main())
