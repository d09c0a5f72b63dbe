"""Why a load check failed."""

from bulkhead.deploy.load_check.progress import Stage


class LoadCheckError(Exception):
    """The definitions of an image could not be loaded, or this could not be checked."""

    def __init__(
        self,
        reason: str,
        stage: Stage,
        cause: str,
        last_output: str = "",
        *,
        is_of_the_code: bool = False,
    ) -> None:
        """Keep the facts; `str()` is the cause.

        Args:
            reason: one word for machines, such as `LoadError`, `OutOfMemory` or `QuotaExceeded`.
            stage: where the check ended.
            cause: what happened and what to do, in one to three sentences.
            last_output: the traceback, or the end of what the pod printed; may be empty.
            is_of_the_code: whether the team's code failed, and not the cluster or the rights.
        """
        super().__init__(cause)
        self.reason = reason
        self.stage = stage
        self.cause = cause
        self.last_output = last_output
        self.is_of_the_code = is_of_the_code
