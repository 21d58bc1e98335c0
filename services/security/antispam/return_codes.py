"""What the return codes of Spamhaus's address zones mean, as one table.

Source: Spamhaus's documentation, "Available Zones" (docs.spamhaus.com) and the FAQ "DNSBL Usage"
(spamhaus.org/faqs/dnsbl-usage). Who ends a listing: its "SBL Delisting Procedure", the FAQs of CSS
and PBL, and the page on its IP and Domain Reputation Checker.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from urllib.parse import urlencode

from services.security.antispam.listing import Delisting, Listing, LookUp, SpamhausList

TABLE: Mapping[str, tuple[SpamhausList, Delisting]] = {
    "127.0.0.2": (SpamhausList.SBL, Delisting.ISP),
    # It also expires days after the cause is gone; who asks need not wait for that.
    "127.0.0.3": (SpamhausList.CSS, Delisting.SELF),
    "127.0.0.4": (SpamhausList.XBL, Delisting.SELF),
    # Not in use today, and of the XBL whenever they are.
    "127.0.0.5": (SpamhausList.XBL, Delisting.SELF),
    "127.0.0.6": (SpamhausList.XBL, Delisting.SELF),
    "127.0.0.7": (SpamhausList.XBL, Delisting.SELF),
    # Always in addition to an entry of the SBL, and gone with it.
    "127.0.0.9": (SpamhausList.DROP, Delisting.ISP),
    # Kept by the owner of the network, whose policy it is.
    "127.0.0.10": (SpamhausList.PBL, Delisting.ISP),
    # Kept by Spamhaus, who lets the holder of a single address take it off.
    "127.0.0.11": (SpamhausList.PBL, Delisting.SELF),
    # A subset of the SBL.
    "127.0.0.30": (SpamhausList.BCL, Delisting.ISP),
}

ERRORS: Mapping[str, str] = {
    "127.255.255.252": "Spamhaus has no list of the name that is set up here.",
    "127.255.255.254": "Spamhaus does not answer what comes by a public resolver.",
    "127.255.255.255": "Spamhaus does not answer, since it was asked too often.",
}
"""About the question, and never about the address that was asked for."""

_ERRORS = "127.255.255."
"""127.255.255.0/24 is for errors, those that are not made yet included."""
_LOOPBACK = "127."
"""Every answer of a DNSBL lies in 127.0.0.0/8 (RFC 5782 section 2.1)."""

CHECKER = "https://check.spamhaus.org/results"


def from_answers(ip: str, codes: Iterable[str], time: datetime) -> LookUp:
    """What the A records that were answered for an address mean; none is clean.

    `codes` are their addresses in any order. One that says that the others cannot be believed makes
    it unknown. One that is not in the table is passed over beside one that is.
    """
    answered = frozenset(codes)
    known = [code for code in TABLE if code in answered]
    unknown = _error(answered) or ("" if known else _unheard_of(answered))
    listings = () if unknown else _listings(ip, known)
    return LookUp(ip, listings, unknown, time)


def errors(codes: Iterable[str]) -> list[str]:
    """Those of the codes by which Spamhaus says that it does not answer, in order."""
    return sorted(code for code in codes if code.startswith(_ERRORS))


def not_in_table(codes: Iterable[str]) -> list[str]:
    """Those of the codes that are neither in the table nor errors, in order."""
    return sorted(code for code in codes if code not in TABLE and not code.startswith(_ERRORS))


def link(ip: str) -> str:
    """Where a person reads why an address is listed, and asks for its delisting."""
    return f"{CHECKER}?{urlencode({'query': ip})}"


def _error(answered: Collection[str]) -> str:
    """Why nothing of an answer can be believed, a sentence; empty: it can be."""
    if any(not code.startswith(_LOOPBACK) for code in answered):
        return "The resolver makes answers up: no DNS blocklist answers outside 127.0.0.0/8."
    for code in errors(answered):
        return ERRORS.get(code, f"Spamhaus does not answer, and says why with {code}.")
    return ""


def _unheard_of(answered: Collection[str]) -> str:
    """The same for an answer without a code of the table."""
    return f"Spamhaus answered with an unknown code, {min(answered)}." if answered else ""


def _listings(ip: str, known: Iterable[str]) -> tuple[Listing, ...]:
    codes: dict[SpamhausList, list[str]] = {}
    for code in known:
        codes.setdefault(TABLE[code][0], []).append(code)
    return tuple(
        Listing(name, tuple(its_codes), _delisting(its_codes), link(ip))
        for name, its_codes in codes.items()
    )


def _delisting(codes: Iterable[str]) -> Delisting:
    """Of a list with several codes: while one needs the provider, asking oneself ends nothing."""
    paths = [TABLE[code][1] for code in codes]
    return Delisting.ISP if Delisting.ISP in paths else paths[0]
