"""What schemathesis is told of this API: what is real, and when a valid request may be refused.

It is loaded by its command (SCHEMATHESIS_HOOKS).
"""

import json
import os
from typing import Any

import schemathesis

REAL = {"hostname": os.environ["F2H_HOSTNAME"], "ip": os.environ["F2H_IP"]}
"""A server, and an address of it, that the credential may act on."""

KNOWN_BY_THE_SERVICE = frozenset(
    {"page_token", "template", "image", "servers", "capabilities", "request_id"}
)
"""Fields whose right values no schema can say: what the service gave out, what the caller's key
has, and the same as the header Idempotency-Key."""


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Valid requests are about something real: made up names are all refused alike."""
    if case.meta is not None and case.meta.generation.mode.is_positive:
        for name, value in REAL.items():
            if name in (case.path_parameters or {}):
                case.path_parameters[name] = value


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Leaves out wrong data that JSON of protobuf takes for right.

    null is a field that is not given, and the number of an enum's value is as good as its name
    (ProtoJSON, "JSON Options").
    """
    if case.meta is None or case.meta.generation.mode.is_positive:
        return True
    given = [*_values(case.body), *_values(case.query)]
    return not any(value is None or _is_number(value) for value in given)


def _values(data: Any) -> list[Any]:
    """Everything in a document that is no list and no object."""
    if isinstance(data, dict):
        return [value for each in data.values() for value in _values(each)]
    if isinstance(data, list):
        return [value for each in data for value in _values(each)]
    return [data]


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and value.isdecimal()


@schemathesis.check
def valid_data_is_refused_for_what_no_schema_says(_context: Any, response: Any, case: Any) -> None:
    """In the place of positive_data_acceptance, which knows no state.

    A valid request may meet a state of the world that is against it, each with its documented
    reason. INVALID_REQUEST is only for fields that the service knows, and for rules between fields,
    whose violation names no field.
    """
    if response.status_code != 400 or not case.meta.generation.mode.is_positive:
        return
    if "Proto fields must have a name" in response.text:
        return  # unknown fields are dropped, but for the one whose name is empty
    details = json.loads(response.content)["details"]
    said = {each["@type"].rpartition(".")[2]: each for each in details}
    if said["ErrorInfo"]["reason"] != "INVALID_REQUEST":
        return
    fields = {each["field"] for each in said.get("BadRequest", {}).get("field_violations", [])}
    if not fields or fields - KNOWN_BY_THE_SERVICE - {""}:
        raise AssertionError(f"A valid request was refused: {response.text}")
