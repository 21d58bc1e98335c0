"""Where a browser's call comes from: a page of another site must not use a person's session.

The cookie is SameSite=Strict, which stops most of it. This stops the rest: another page on a host
of the same site, and browsers that do not know the attribute.
"""

from urllib.parse import urlsplit

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError


def refuse_foreign_origin(origin: str, host: str, ours: frozenset[str], *, secure: bool) -> None:
    """Raises ApiError(ORIGIN_NOT_ALLOWED) unless the page that sent a call is one of ours.

    `origin` is the header (RFC 6454), which a page cannot change; `host` is what the browser called
    the edge; `ours` are further origins. With `secure`, where browsers use TLS, a page that came
    in the clear may be anybody's. A header that is missing, or "null", is nobody's page.
    """
    if origin in ours:
        return
    try:
        parts = urlsplit(origin)
    except ValueError:
        parts = urlsplit("")
    schemes = {"https"} if secure else {"http", "https"}
    if parts.scheme in schemes and parts.netloc and parts.netloc == host.lower():
        return
    raise ApiError(
        Reason.ORIGIN_NOT_ALLOWED,
        "A signed-in person's changes are taken from pages of this site only: "
        "the header Origin must name it.",
    )
