"""Regular expressions of RE2, which our rules are in, as JSON Schema has them (ECMA-262)."""

import re

_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_CLASSES = {
    r"\p{Cc}": _CONTROL,
    "[:cntrl:]": r"\u0000-\u001f\u007f",
}
"""Within brackets. Not every reader of JSON Schema knows the first, and none the second."""

_CODE_POINT = re.compile(r"\\x\{([0-9A-Fa-f]{4})\}")

_OTHERS = re.compile(r"\\[pPAzQCx]|\[:|\(\?[^:]")
"""What RE2 has and ECMA-262 has not, or means differently. A code point above U+FFFF is among it:
it has no form that means the same to every reader of JSON Schema."""


def ecma(pattern: str) -> str:
    """The same pattern for ECMA-262. Raises ValueError for what is not translated."""
    for ours, theirs in _CLASSES.items():
        pattern = pattern.replace(ours, theirs)
    pattern = _CODE_POINT.sub(r"\\u\1", pattern)
    if unknown := _OTHERS.search(pattern):
        raise ValueError(f"{pattern!r}: JSON Schema does not know {unknown[0]!r}")
    return pattern
