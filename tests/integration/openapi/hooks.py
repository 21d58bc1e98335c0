"""What schemathesis is told of this API: who asks, what is real, and when a valid request may be
refused.

It is loaded by its command (SCHEMATHESIS_HOOKS).
"""

import json
import os
from ipaddress import ip_network
from typing import Any

import schemathesis
from hypothesis import strategies

REAL = {"hostname": os.environ["F2H_HOSTNAME"], "ip": os.environ["F2H_IP"]}
"""A server, and an address of it, that the caller may act on."""

REAL_KEY = os.environ["F2H_KEY_ID"]
"""A key of the caller's account, by its id."""

KNOWN_BY_THE_SERVICE = frozenset(
    {
        *("page_token", "template", "image", "servers", "capabilities", "request_id"),
        *("account", "code", "expire_time", "no_expiry", "url", "event_types"),
    }
)
"""Fields whose right values no schema can say: what the service gave out, what the caller's key
has, the same as the header Idempotency-Key, whose account it is, the code of this moment, what is
past, where no message may be sent, and what a change must not leave empty."""

HEADERS: dict[str, str] = json.loads(os.environ["F2H_CALLER"])
"""What the caller shows. Not in the command, where every process of the machine could read it."""

LEAVING: list[dict[str, str]] = json.loads(os.environ.get("F2H_LEAVING", "[]"))
"""What people show who may be signed out: the caller is still needed."""

schemathesis.openapi.format("cidr", strategies.ip_addresses().map(ip_network).map(str))


@schemathesis.auth(refresh_interval=None)
class Caller:
    """Shows who asks."""

    def get(self, case: Any, _context: Any) -> dict[str, str]:
        if case.operation.path == "/auth/logout" and LEAVING:
            return LEAVING.pop() if len(LEAVING) > 1 else LEAVING[0]
        return HEADERS

    def set(self, case: Any, data: dict[str, str], _context: Any) -> None:
        case.headers.update(data)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Valid requests are about something real: made up names are all refused alike."""
    if case.meta is not None and case.meta.generation.mode.is_positive:
        for name, value in REAL.items():
            if name in (case.path_parameters or {}):
                case.path_parameters[name] = value
        if case.operation.path.startswith("/keys/{id}"):
            case.path_parameters["id"] = REAL_KEY
        if isinstance(case.body, dict) and case.body.get("servers"):
            case.body["servers"] = [REAL["hostname"]]


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Leaves out wrong data that JSON of protobuf takes for right.

    null is a field that is not given, 0 the value of an enum that is not given, and the number of
    any is as good as its name (ProtoJSON, "JSON Options"). Envoy takes {} for a mask that is empty.
    """
    if case.meta is None or case.meta.generation.mode.is_positive:
        return True
    if isinstance(case.body, dict) and case.body.get("update_mask") == {}:
        return False
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
    return str(value) == "0" or (isinstance(value, str) and value.isdecimal())


@schemathesis.check
def valid_data_is_refused_for_what_no_schema_says(_context: Any, response: Any, case: Any) -> None:
    """In the place of positive_data_acceptance, which knows no state.

    A valid request may meet a state of the world that is against it, each with its documented
    reason. INVALID_REQUEST is only for fields that the service knows, and for rules between fields,
    whose violation names no field, or says that it is about update_mask.
    """
    if response.status_code != 400 or not case.meta.generation.mode.is_positive:
        return
    if "Proto fields must have a name" in response.text:
        return  # unknown fields are dropped, but for the one whose name is empty
    details = json.loads(response.content)["details"]
    said = {each["@type"].rpartition(".")[2]: each for each in details}
    if said["ErrorInfo"]["reason"] != "INVALID_REQUEST":
        return
    violations = said.get("BadRequest", {}).get("field_violations", [])
    fields = {
        "" if "update_mask" in each["field"] + each["description"] else each["field"]
        for each in violations
    }
    if not fields or fields - KNOWN_BY_THE_SERVICE - {""}:
        raise AssertionError(f"A valid request was refused: {response.text}")
