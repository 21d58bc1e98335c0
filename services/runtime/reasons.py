"""The reasons that a call can be answered with, read from the generated protos.

Most follow from the RPC's access rule and its REST form, and are said here once; what is left is
the option `fails_with` of the RPC. The OpenAPI document and docs/errors.md are made from the same.
"""

from collections.abc import Iterator
from functools import cache

from f2h.access.v1 import reason_pb2, rule_pb2
from f2h.access.v1.reason_pb2 import Reason
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool

from services.runtime.access import Audience, Role

ALWAYS = frozenset(
    {
        Reason.INVALID_REQUEST,
        Reason.RATE_LIMITED,
        Reason.OVERLOADED,
        Reason.DEPENDENCY_UNAVAILABLE,
        Reason.DEADLINE_EXCEEDED,
        Reason.INTERNAL,
    }
)
"""What every call can be answered with."""

_IDENTIFIED = frozenset(
    {
        Reason.CREDENTIAL_MISSING,
        Reason.KEY_REVOKED,
        Reason.KEY_EXPIRED,
        Reason.SESSION_INVALID,
        Reason.PRINCIPAL_INVALID,
        Reason.ADDRESS_NOT_ALLOWED,
        Reason.AUDIENCE_NOT_ALLOWED,
    }
)
"""What calls are answered with that somebody has to be known for, whatever credential is shown."""

_ANYBODY = frozenset({Audience.PUBLIC, Audience.NODE})
_PEOPLE = frozenset({Audience.SESSION, Audience.STAFF})
_OWNERS = frozenset({Audience.CUSTOMER, Audience.SESSION})


@cache
def expected(path: str) -> "frozenset[Reason.ValueType] | None":
    """The reasons that the RPC "/package.Service/Method" can be answered with.

    None for an RPC that has no access rule, since it is not of our contract.
    """
    name = path.removeprefix("/").replace("/", ".")
    try:
        options = descriptor_pool.Default().FindMethodByName(name).GetOptions()
    except KeyError:
        return None
    if not options.HasExtension(rule_pb2.rule):
        return None
    # Past the edge, whoever may call: its certificate has no business with the call.
    return derived(options) | declared(options) | {Reason.PRINCIPAL_INVALID}


def declared(options: descriptor_pb2.MethodOptions) -> "frozenset[Reason.ValueType]":
    """What an RPC itself says that it is answered with."""
    return frozenset(options.Extensions[reason_pb2.fails_with].call)


def derived(options: descriptor_pb2.MethodOptions) -> "frozenset[Reason.ValueType]":
    """What follows from an RPC's access rule and its REST form."""
    return frozenset(_derived(options))


def _derived(options: descriptor_pb2.MethodOptions) -> "Iterator[Reason.ValueType]":
    rule, http = options.Extensions[rule_pb2.rule], options.Extensions[annotations_pb2.http]
    audiences = {*rule.audiences}
    yield from ALWAYS
    if http.body:
        yield from (Reason.REQUEST_TOO_LARGE, Reason.UNSUPPORTED_MEDIA_TYPE)
    if Audience.NODE not in audiences:
        yield Reason.CREDENTIAL_INVALID  # the edge looks at a token wherever one is shown
    if not audiences & _ANYBODY:
        yield from _IDENTIFIED
    if audiences & (_PEOPLE | {Audience.PUBLIC}) and http.WhichOneof("pattern") != "get":
        yield Reason.ORIGIN_NOT_ALLOWED
    if audiences & _PEOPLE and rule.role > Role.READ_ONLY:
        yield Reason.ROLE_MISSING
    if Audience.CUSTOMER in audiences and rule.capability:
        yield Reason.CAPABILITY_MISSING
    if audiences & _OWNERS and (rule.server_field or rule.ip_field):
        yield Reason.SERVER_NOT_GRANTED
    if rule.operation_field:
        yield Reason.NOT_FOUND
