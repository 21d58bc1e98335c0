"""What a schema accepts is what the service accepts."""

from functools import cache
from typing import Any

import protovalidate
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tools.openapi.schema import Schemas, Usage, required_fields, schema_of
from tools.openapi.source import Source

PACKAGE = "f2h.garden.v1"

# Where Python's own regular expressions differ is no matter of ours: "$" before a last line feed.
WORDS = st.text(st.sampled_from("abcdé\t\x7f "), max_size=5)
SHOWN = st.text(
    st.sampled_from("a\u05d0\u00ad\u061c\u200b\u200d\u202e\u2066\ufe0f\ufeff\U0001f680"), max_size=5
)
INTEGERS = st.one_of(st.integers(-2, 10), st.sampled_from([-(2**31) - 1, 2**31, 2**32, 65535]))
CHOICES = st.sampled_from(["CHOICE_UNSPECIFIED", "ONE", "TWO"])
INNER = st.fixed_dictionaries({}, optional={"word": WORDS, "free": st.booleans()})

RIGHT: dict[str, Any] = {
    "bounded": "a",
    "above": 2,
    "said": "ONE",
    "several": ["a"],
    "inner": {"word": "a"},
    "agreed": True,
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("free", "bounded", "patterned", "refused", "password"), WORDS),
    **dict.fromkeys(("quiet", "present"), WORDS),
    "shown": SHOWN,
    "chosen": st.sampled_from(["", "a", "b", "c"]),
    **dict.fromkeys(("between", "above", "lifetime", "port"), INTEGERS),
    **dict.fromkeys(("any", "said", "listed"), CHOICES),
    "several": st.lists(st.sampled_from(["a", "b", "c", "aaa"]), max_size=3),
    "choices": st.lists(st.sampled_from(["ONE", "TWO", "CHOICE_UNSPECIFIED"]), max_size=3),
    "inner": INNER,
    "inners": st.lists(INNER, max_size=2),
    "agreed": st.booleans(),
    "counted": st.dictionaries(st.sampled_from(["", "a", "b", "c"]), st.integers(-1, 2)),
    "mask": st.sampled_from(["", "free", "port", "free,port", "inner"]),
}


@cache
def validator(source: Source, name: str) -> Draft202012Validator:
    schema = schema_of(source.message(f"{PACKAGE}.{name}"), source)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def is_accepted(source: Source, name: str, given: dict[str, Any]) -> bool:
    """Whether a service accepts it: it is JSON of the message, and keeps its rules."""
    message = source.empty(source.message(f"{PACKAGE}.{name}"))
    try:
        json_format.ParseDict(given, message, ignore_unknown_fields=True)
    except json_format.ParseError:
        return False
    return not protovalidate.collect_violations(message)


def test_every_field_with_a_rule_is_tried(source: Source) -> None:
    assert {field.name for field in source.message(f"{PACKAGE}.Rules").fields} == VALUES.keys()


SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_agreed(source: Source, given: dict[str, Any]) -> None:
    errors = [error.message for error in validator(source, "Rules").iter_errors(given)]
    assert is_accepted(source, "Rules", given) == (not errors), (given, errors)


@pytest.mark.parametrize("name", sorted(VALUES))
@settings(SETTINGS, max_examples=200)
@given(data=st.data())
def test_a_schema_accepts_what_the_service_accepts_and_nothing_else(
    source: Source, name: str, data: st.DataObject
) -> None:
    # The rest is right: else nearly everything would be refused, whatever this field is.
    assert_agreed(source, {**RIGHT, name: data.draw(VALUES[name])})


@settings(SETTINGS, max_examples=200)
@given(
    given=st.fixed_dictionaries(
        {"nobody knows this": st.integers()}, optional={**VALUES, "nor this": st.none()}
    )
)
def test_so_does_it_with_several_fields_at_once(source: Source, given: dict[str, Any]) -> None:
    assert_agreed(source, given)


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_so_does_it_with_a_field_that_is_left_out(source: Source, name: str) -> None:
    given = {key: value for key, value in RIGHT.items() if key != name}
    assert not is_accepted(source, "Rules", given)
    assert_agreed(source, given)


def test_a_field_is_required_when_an_empty_request_breaks_its_rule(source: Source) -> None:
    assert required_fields(source, source.message(f"{PACKAGE}.Rules")) == RIGHT.keys()


def test_an_enum_that_may_have_every_value_is_referred_to(source: Source) -> None:
    schema = schema_of(source.message(f"{PACKAGE}.Rules"), source)
    assert schema["properties"]["any"] == {
        "$ref": "#/$defs/Rules.Choice",
        "description": "Any choice.",
    }
    assert schema["$defs"]["Rules.Choice"] == {
        "type": "string",
        "enum": ["CHOICE_UNSPECIFIED", "ONE", "TWO"],
        "description": "A choice.\n\n- `CHOICE_UNSPECIFIED`: None.\n- `ONE`: One.\n- `TWO`: Two.",
    }


def test_an_enum_that_may_not_is_said_in_full(source: Source) -> None:
    schema = schema_of(source.message(f"{PACKAGE}.Rules"), source)
    assert schema["properties"]["said"] == {
        "type": "string",
        "enum": ["ONE", "TWO"],
        "description": "A choice that is one.\n\n- `ONE`: One.\n- `TWO`: Two.",
    }


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        ("name", {"type": "string", "maxLength": 8}),
        ("later", {"type": "string", "format": "date-time"}),
        ("network", {"type": "string", "format": "cidr"}),
        ("odd", {"type": "string"}),
        ("data", {"type": "string", "contentEncoding": "base64", "maxLength": 8}),
        ("big", {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}),
        ("ip", {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
        ("colour", {"type": "string", "maxLength": 9, "examples": ["red", "blue"]}),
    ],
)
def test_a_field_has_the_schema_of_its_type_and_rules(
    source: Source, field: str, schema: dict[str, Any]
) -> None:
    made = schema_of(source.message(f"{PACKAGE}.Words"), source)["properties"][field]
    assert {key: value for key, value in made.items() if key != "description"} == schema


@pytest.mark.parametrize(
    ("field", "description"),
    [
        ("name", "In bytes.\n\nRule: must be at most 8 bytes of UTF-8."),
        ("later", "Later.\n\nRule: must be in the future."),
        ("network", "A network.\n\nRule: must be a network without host bits."),
        ("odd", "Not said in JSON Schema.\n\nRule: must be odd."),
        ("big", "A long number.\n\nRule: must be 1 at least."),
        ("ip", "An address."),
    ],
)
def test_a_rule_that_json_schema_cannot_say_is_said_in_words(
    source: Source, field: str, description: str
) -> None:
    made = schema_of(source.message(f"{PACKAGE}.Words"), source)
    assert made["properties"][field]["description"] == description


def test_a_rule_of_the_whole_message_is_said_in_words(source: Source) -> None:
    schema = schema_of(source.message(f"{PACKAGE}.PlantBedRequest"), source)
    assert schema["description"] == "What to plant.\n\nRule: a dodo is no plant."


def test_a_rule_that_is_not_known_ends_the_generation(source: Source) -> None:
    with pytest.raises(NotImplementedError, match=r"string\.prefix"):
        schema_of(source.message(f"{PACKAGE}.Unknown"), source)


def test_an_answer_has_every_field_but_what_can_be_unset(source: Source) -> None:
    schemas = Schemas(source)
    bed = source.message(f"{PACKAGE}.Bed")
    assert schemas.reference(bed, Usage.RESPONSE) == {"$ref": "#/$defs/Bed"}
    schema = schemas.definitions["Bed"]
    assert schema["required"] == ["name", "plant", "leaves", "beside", "colours", "title"]
    assert {*schema["properties"]} == {*schema["required"], "weight", "time"}
    # What a field may be is a rule for requests.
    assert schema["properties"]["name"] == {"type": "string", "description": "Its name."}
    assert schema["properties"]["title"]["deprecated"] is True
    assert schema["properties"]["beside"]["items"] == {"$ref": "#/$defs/Bed"}
    assert schema["properties"]["colours"]["additionalProperties"]["type"] == "integer"


def test_what_is_printed_is_what_the_schema_of_an_answer_says(source: Source) -> None:
    bed = source.message(f"{PACKAGE}.Bed")
    schemas = Schemas(source)
    schema = schemas.reference(bed, Usage.RESPONSE)
    printed = json_format.MessageToDict(
        source.empty(bed),
        always_print_fields_with_no_presence=True,
        preserving_proto_field_name=True,
    )
    Draft202012Validator(schema | {"$defs": schemas.definitions}).validate(printed)
    del printed["leaves"]
    assert not Draft202012Validator(schema | {"$defs": schemas.definitions}).is_valid(printed)


def test_a_message_of_a_request_is_kept_apart_from_that_of_an_answer(source: Source) -> None:
    schemas = Schemas(source)
    bed = source.message(f"{PACKAGE}.Bed")
    assert schemas.reference(bed, Usage.REQUEST) == {"$ref": "#/$defs/BedInput"}
    assert schemas.definitions["BedInput"]["properties"]["name"]["maxLength"] == 5
