"""Secrets of ours that somebody gave where something else belongs: a key pasted as a label."""

import re

_SECRET = re.compile(r"(f2hs?\.[0-9a-f]{16}\.|whsec_)[0-9a-z+/]{20,}=*", re.ASCII | re.IGNORECASE)
"""A key or a session (services.auth.keys.secret), and what signs webhooks. Also a part of one, and
one whose letters lost their case: little is to be guessed then."""


def withheld(text: str) -> str:
    """The text, with "…" in place of what is secret in it: a key is "f2h.<id>.…"."""
    return _SECRET.sub(r"\1…", text)
