"""Why a BMC did not do what it was asked. Their texts hold nothing that a driver said."""

from enum import StrEnum


class Trouble(StrEnum):
    """Why a BMC cannot be reached."""

    NO_ANSWER = "NO_ANSWER"
    """Nothing comes back, or nothing that can be read."""
    NO_FREE_SESSION = "NO_FREE_SESSION"
    """It answers, and all its sessions are taken."""
    BACKING_OFF = "BACKING_OFF"
    """It did not answer several times in a row and is left alone for a while."""
    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    """So many calls wait for it that one more would not be answered in time."""
    OWNED_ELSEWHERE = "OWNED_ELSEWHERE"
    """Another process of ours talks to it, and did not let go in time."""


class BmcError(Exception):
    """Something between us and the BMC failed."""


class BmcUnreachable(BmcError):  # noqa: N818 - it says what happened
    """The BMC does not answer, or has no session left for us. May be tried again."""

    def __init__(
        self, trouble: Trouble = Trouble.NO_ANSWER, retry_after_seconds: float | None = None
    ) -> None:
        """`retry_after_seconds` where it is known when the next try is worth it."""
        super().__init__(trouble, retry_after_seconds)
        self.trouble = trouble
        self.retry_after_seconds = retry_after_seconds


class BmcAuthFailed(BmcError):  # noqa: N818
    """The BMC refuses our user name or password. Trying again would lock the account."""


class BmcRefused(BmcError):  # noqa: N818
    """The BMC answered, and did not do it."""

    def __init__(self, completion_code: int) -> None:
        """`completion_code` as of IPMI 2.0 section 5.2, table 5-2."""
        super().__init__(completion_code)
        self.completion_code = completion_code


class BmcUnsupported(BmcError):  # noqa: N818
    """The BMC does not have what it was asked for."""


class ConsoleTaken(BmcError):  # noqa: N818
    """The serial console is attached elsewhere."""


class LogErased(BmcError):  # noqa: N818
    """The event log was erased since the cursor was given."""
