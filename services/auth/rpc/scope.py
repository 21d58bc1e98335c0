"""Whose things a caller asks for."""

from services.runtime.access import Audience
from services.runtime.call import current_caller
from services.runtime.errors import invalid


def own_account() -> str | None:
    """The account that the caller may act for; None: any, for the NOC."""
    caller = current_caller()
    return caller.account if caller.principal.audience == Audience.SESSION else None


def account_asked(given: str) -> str:
    """The account that a call is about: the one given by the NOC, or a signed-in person's own.

    Raises ApiError(INVALID_REQUEST) when the NOC names none, or a person another one.
    """
    account = account_of_form(given)
    if not account:
        raise invalid("account", "is required: say which account it is about")
    return account


def account_of_form(given: str) -> str:
    """As `account_asked`, but empty where the NOC names none: the form says what else is wrong."""
    own = own_account()
    if own is None:
        return given
    if given not in {"", own}:
        raise invalid("account", f"must be your own account, {own}, or left out")
    return own
