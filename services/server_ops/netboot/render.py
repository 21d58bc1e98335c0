"""Rendering the texts of templates.

They are the operator's, and filled with what customers chose: in a sandbox, with everything named.
"""

import json
import shlex
from collections.abc import Mapping
from functools import partial
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST = 256 * 1024
"""How many characters a rendered text may have."""


class TextInvalid(Exception):  # noqa: N818 - it says what happened
    """A text cannot be rendered. The message says why, and at which line."""


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox from which nothing can be called but what Jinja2 itself has."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, _context: Any, operator: str, _left: Any, _right: Any) -> Any:
        """Refuses what makes much out of little."""
        raise SecurityError(f"{operator} is not available here")

    def is_safe_callable(self, obj: Any) -> bool:
        return str(getattr(obj, "__module__", "")).startswith("jinja2.")


def _environment() -> _Environment:
    # Text for installers, not for browsers.
    made = _Environment(
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    made.filters["shell"] = shlex.quote
    # YAML knows no pairs of surrogates, by which JSON escapes what is beyond 16 bits.
    made.filters["tojson"] = partial(json.dumps, ensure_ascii=False)
    return made


_ENVIRONMENT = _environment()


def render(text: str, names: Mapping[str, Any]) -> str:
    """The text with the names filled in. Raises TextInvalid."""
    try:
        rendered = "".join(_limited(_ENVIRONMENT.from_string(text).generate(names)))
    except TemplateError as error:
        where = getattr(error, "lineno", None)
        line = f"line {where}: " if where else ""
        raise TextInvalid(f"{line}{error.message or type(error).__name__}") from None
    except (TypeError, ValueError, ArithmeticError, RecursionError, LookupError) as error:
        raise TextInvalid(f"{type(error).__name__}: {error}") from None
    return rendered


def _limited(parts: Any) -> Any:
    length = 0
    for part in parts:
        length += len(part)
        if length > LONGEST:
            raise TextInvalid(f"it becomes longer than {LONGEST} characters")
        yield part


EXAMPLE: Mapping[str, Any] = {
    "hostname": "ns1.example.net",
    "server": {
        "hostname": "ns1.example.net",
        "ips": ["192.0.2.1", "2001:db8::1"],
        "mac": "0c:c4:7a:00:00:01",
    },
    "ssh_keys": ["ssh-ed25519 AAAA somebody's key"],
    "layout": "",
    "document_url": "http://192.0.2.2:8002/netboot/documents/token",
    "report_url": "http://192.0.2.2:8002/netboot/report",
    "report_token": "0" * 64,
    "first_boot_url": "http://192.0.2.2:8002/netboot/first-boot/token",
}
"""Every name that a text may use, to find mistakes before anybody installs."""
