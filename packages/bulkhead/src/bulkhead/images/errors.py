"""The error of this package."""


class ImageError(Exception):
    """An image could not be made; `str()` says why and what to do.

    `output` is the last output of the program that failed, empty if there is none.
    """

    def __init__(self, message: str, output: str = "") -> None:
        """Keep the message for people, and the output that explains it."""
        super().__init__(message)
        self.output = output
