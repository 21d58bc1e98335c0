"""Why a BMC did not do what it was asked. Their texts hold nothing that a driver said."""


class BmcError(Exception):
    """Something between us and the BMC failed."""


class BmcUnreachable(BmcError):  # noqa: N818 - it says what happened
    """The BMC does not answer, or has no session left for us. May be tried again."""


class BmcAuthFailed(BmcError):  # noqa: N818
    """The BMC refuses our user name or password. Trying again would lock the account."""


class BmcRefused(BmcError):  # noqa: N818
    """The BMC answered, and did not do it."""

    def __init__(self, completion_code: int) -> None:
        """`completion_code` as of IPMI 2.0 section 5.2, table 5-2."""
        super().__init__(completion_code)
        self.completion_code = completion_code
