"""The base image of the platform's and the code locations' images.

It has Python 3.11 with `venv`, and the usual certificate authorities.
"""

from bulkhead_kind import debian
from bulkhead_kind.engine import Engine, pull_or_build
from bulkhead_kind.progress import Progress

STOCK = (
    "docker.io/library/python@"
    "sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b"
)
"""python:3.11.16-slim-bookworm for every processor, as several public projects pin it (2026-10)."""

BUILT = "localhost/bulkhead-base"

PACKAGES = ("ca-certificates", "python3", "python3-venv")


def ensure(engine: Engine, progress: Progress) -> str:
    """Return the base image, pulling or building it if needed; raises StepError."""
    built = f"{BUILT}:{debian.key(PACKAGES)}"

    def build() -> None:
        system = debian.system(progress, "base", PACKAGES)
        with progress.step("Import the base image") as step:
            engine.run(step, "import", system, built)

    return pull_or_build(
        engine, progress, title="the base image", stock=STOCK, built=built, build=build
    )
