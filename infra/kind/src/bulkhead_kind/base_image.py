"""The base image of the platform's and the code locations' images.

It has Python 3.11 with `venv`, and the usual certificate authorities.
"""

from bulkhead.deploy.settings import BASE_IMAGE
from bulkhead_kind import debian
from bulkhead_kind.engine import Engine, pull_or_build
from bulkhead_kind.progress import Progress

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
        engine, progress, title="the base image", stock=BASE_IMAGE, built=built, build=build
    )
