"""How a stage of a deploy fails."""


class StageError(Exception):
    """A stage failed. `str()` is the reason, `output` the last output of what failed, if any."""

    def __init__(self, stage: str, reason: str, output: str = "") -> None:
        """Keep the parts of the message apart."""
        super().__init__(reason)
        self.stage = stage
        self.output = output
        self.is_reported = False


class NotRegisteredError(StageError):
    """The platform has no code location of this name."""
