"""The part of CEL that JSON Schema can say: what a rule demands of one value."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from tools.openapi.patterns import ecma

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||[=!<>]=|[<>!().,\[\]]))"
)

IP: dict[str, Any] = {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}

_CALLS: dict[str, dict[str, Any]] = {
    "isIp": IP,
    "isHostname": {"format": "hostname"},
    "isEmail": {"format": "email"},
    "isUri": {"format": "uri"},
    "isIpPrefix": {"format": "cidr"},
}

_ORDER = {"<": "exclusiveMaximum", "<=": "maximum", ">": "exclusiveMinimum", ">=": "minimum"}


class _Unsaid(Exception):  # noqa: N818 - it says what the expression is
    """JSON Schema cannot say it, or this does not know how."""


def schema(expression: str) -> dict[str, Any] | None:
    """What a value must be for `expression` to hold of `this`; None: it cannot be said.

    A rule of our own kind is read as it is where it is switched on.
    """
    try:
        reader = _Reader([*_tokens(expression.removeprefix("!rule || "))])
        said = reader.either()
        return said if reader.at_end() else None
    except _Unsaid:
        return None


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(expression.rstrip()):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise _Unsaid
        kind = str(match.lastgroup)
        yield kind, match[kind]
        at = match.end()


class _Reader:
    """Reads tokens from left to right, a method a level of precedence."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def at_end(self) -> bool:
        return self._at == len(self._tokens)

    def either(self) -> dict[str, Any]:
        terms = [self._both()]
        while self._took("||"):
            terms.append(self._both())
        return terms[0] if len(terms) == 1 else {"anyOf": terms}

    def _both(self) -> dict[str, Any]:
        terms = [self._one()]
        while self._took("&&"):
            terms.append(self._one())
        merged = {key: value for term in terms for key, value in term.items()}
        return merged if len(merged) == sum(map(len, terms)) else {"allOf": terms}

    def _one(self) -> dict[str, Any]:
        if self._took("!"):
            return {"not": self._one()}
        if self._took("("):
            inner = self.either()
            self._expect(")")
            return inner
        self._expect("this")
        if self._took("."):
            return self._call(self._next("name"))
        if self._took("in"):
            return {"enum": self._list()}
        return self._compared(self._next("sign"), self._literal())

    def _call(self, name: str) -> dict[str, Any]:
        self._expect("(")
        if name == "size":
            self._expect(")")
            return self._sized(self._next("sign"), self._literal())
        if name == "matches":
            pattern = self._literal()
            self._expect(")")
            try:
                return {"pattern": ecma(str(pattern))}
            except ValueError:
                raise _Unsaid from None
        while not self._took(")"):
            self._peek()
            self._at += 1
        if name not in _CALLS:
            raise _Unsaid
        return dict(_CALLS[name])

    def _compared(self, sign: str, value: Any) -> dict[str, Any]:
        if sign == "==":
            return {"const": value}
        if sign == "!=":
            return {"not": {"const": value}}
        if sign in _ORDER and not isinstance(value, str):
            return {_ORDER[sign]: value}
        raise _Unsaid

    def _sized(self, sign: str, value: Any) -> dict[str, Any]:
        bounds = {"<=": ("maxLength", 0), "<": ("maxLength", -1), ">=": ("minLength", 0)}
        bounds |= {">": ("minLength", 1)}
        if sign not in bounds:
            raise _Unsaid
        key, more = bounds[sign]
        return {key: value + more}

    def _list(self) -> list[Any]:
        self._expect("[")
        values = [self._literal()]
        while self._took(","):
            values.append(self._literal())
        self._expect("]")
        return values

    def _literal(self) -> Any:
        kind, text = self._peek()
        if kind not in {"text", "number"}:
            raise _Unsaid
        self._at += 1
        return ast.literal_eval(text)

    def _peek(self) -> tuple[str, str]:
        if self.at_end():
            raise _Unsaid
        return self._tokens[self._at]

    def _next(self, kind: str) -> str:
        found, text = self._peek()
        if found != kind:
            raise _Unsaid
        self._at += 1
        return text

    def _took(self, text: str) -> bool:
        if self.at_end() or self._tokens[self._at] not in {("sign", text), ("name", text)}:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._took(text):
            raise _Unsaid
