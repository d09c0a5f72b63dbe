"""Compiles a folder for the Python of the image."""

from pathlib import Path

from bulkhead.images import process
from bulkhead.images.errors import ImageError


def compile_folder(python: Path, root: Path) -> str:
    """Compile all modules below a folder; return what does not compile, empty if all do.

    The bytecode is never compared with its source (`unchecked-hash`), because an image does not
    change. A fresh process with a fixed hash seed compiles the sorted files one after the other, so
    the same files give the same bytecode.

    Args:
        python: Of the version of the image.
        root: Is / in the image; tracebacks contain the paths of the image.
    """
    command = [
        *(str(python), "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash"),
        *("-s", str(root), "-p", "/", str(root)),
    ]
    try:
        process.run(
            command,
            "Not all files compile.",
            environment=process.clean_environment(python, home=root),
        )
    except ImageError as error:
        return error.output.replace(f"{root}/", "/")
    return ""
