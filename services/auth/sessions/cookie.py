"""The cookie that a session's token travels in: out of reach of scripts and of other sites.

RFC 6265bis. With TLS its name has the prefix `__Host-`: then a browser takes it only when it is
Secure, for this host alone, and for every path, so no neighbour in the domain can set it.
"""

from datetime import timedelta

_NAME = "f2h_session"


def cookie_name(*, secure: bool) -> str:
    """The cookie's name; `secure` is whether browsers use TLS."""
    return f"__Host-{_NAME}" if secure else _NAME


def set_cookie(token: str, age: timedelta, *, secure: bool) -> str:
    """The value of Set-Cookie that keeps a token for so long."""
    parts = [
        f"{cookie_name(secure=secure)}={token}",
        "Path=/",
        f"Max-Age={int(age.total_seconds())}",
        "HttpOnly",
        "SameSite=Strict",
    ]
    return "; ".join([*parts, "Secure"] if secure else parts)


def clear_cookie(*, secure: bool) -> str:
    """The value of Set-Cookie that makes a browser forget the token."""
    return set_cookie("", timedelta(), secure=secure)


def session_text(header: str, *, secure: bool) -> str:
    """The token in a Cookie header; empty when there is none, or more than one.

    Two of one name come from a page of a neighbouring host that tries to slip its own in.
    """
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    found = [value for name, _, value in pairs if name == cookie_name(secure=secure)]
    return found[0] if len(found) == 1 else ""
