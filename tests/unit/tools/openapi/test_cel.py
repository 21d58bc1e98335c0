"""The part of CEL that JSON Schema can say."""

from typing import Any

import pytest

from tools.openapi import cel


@pytest.mark.parametrize(
    ("expression", "schema"),
    [
        ("this == 0", {"const": 0}),
        ("this != ''", {"not": {"const": ""}}),
        ("this > 1 && this <= 5", {"exclusiveMinimum": 1, "maximum": 5}),
        ("this >= -1.5 || this == 'a'", {"anyOf": [{"minimum": -1.5}, {"const": "a"}]}),
        ("!(this == 1)", {"not": {"const": 1}}),
        ("this in [1, 2]", {"enum": [1, 2]}),
        ("this.matches('^a$')", {"pattern": "^a$"}),
        ("!rule || this.matches('^a$')", {"pattern": "^a$"}),
        ("this.matches('a') && this.matches('b')", {"allOf": [{"pattern": "a"}, {"pattern": "b"}]}),
        ("this.size() < 3 && this.size() > 0", {"maxLength": 2, "minLength": 1}),
        ("this == '' || this.isIp()", {"anyOf": [{"const": ""}, cel.IP]}),
        ("this.isIpPrefix(true)", {"format": "cidr"}),
    ],
)
def test_a_demand_on_one_value_is_said(expression: str, schema: dict[str, Any]) -> None:
    assert cel.schema(expression) == schema


@pytest.mark.parametrize(
    "expression",
    [
        "this.a == this.b",
        "this.size() % 2 == 1",
        "this.all(x, x > 1)",
        "bytes(this).size() <= 3",
        "this ? 1 : 2",
        r"this.matches('\\x{E0000}')",
        "this <",
        "this in []",
        "this.isIp(",
        "this >= 'a'",
        "",
        "ä",
    ],
)
def test_what_it_cannot_say_is_not_said(expression: str) -> None:
    assert cel.schema(expression) is None
