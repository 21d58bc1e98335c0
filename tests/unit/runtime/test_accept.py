"""Whose certificate opens which RPC. The services' own lists: tests/integration/test_access.py."""

from typing import Any

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.accept import Accept
from services.runtime.access import Audience, Rule
from services.runtime.certificates import EDGE, service_uri
from services.runtime.errors import ApiError

OPEN = "/test.Service/Open"
PUBLIC = "/test.Service/Public"
MIXED = "/test.Service/Mixed"
OURS = "/test.Service/Ours"
FORWARDED = "/test.Service/Forwarded"
UNRULED = "/test.Service/Unruled"


def rule(*audiences: "Audience.ValueType") -> Rule:
    return Rule(frozenset(audiences), "", "")


RULES = {
    PUBLIC: rule(Audience.PUBLIC),
    MIXED: rule(Audience.NOC, Audience.SERVICE),
    OURS: rule(Audience.SERVICE),
    FORWARDED: rule(Audience.FORWARDED),
}

ACCEPT = Accept(
    RULES,
    {"auth": frozenset({OURS, MIXED}), "security": frozenset({OURS, FORWARDED})},
    open_paths=frozenset({OPEN}),
    tls=True,
)

AUTH, SECURITY = service_uri("auth"), service_uri("security")


class Connection:
    """What gRPC tells of a connection, the one thing that is asked of a call's context."""

    def __init__(self, *uris: str) -> None:
        self._told = {"peer_spiffe_id": [uri.encode() for uri in uris]} if uris else {}

    def auth_context(self) -> dict[str, list[bytes]]:
        return self._told


def connection(*uris: str) -> Any:
    return Connection(*uris)


async def handler(request: Any, _context: Any) -> Any:
    return request


@pytest.mark.parametrize(
    ("path", "callers"),
    [
        (OPEN, {EDGE}),
        (PUBLIC, {EDGE}),
        (MIXED, {EDGE, AUTH}),
        (OURS, {AUTH, SECURITY}),
        (FORWARDED, {SECURITY}),
        (UNRULED, set()),
    ],
)
async def test_who_has_business_with_an_rpc(path: str, callers: set[str]) -> None:
    assert ACCEPT.callers(path) == callers
    accepted = ACCEPT(path, handler)
    everybody = {EDGE, AUTH, SECURITY, service_uri("server_ops"), "spiffe://f2hcloud/noc/make-up"}
    for uri in everybody:
        if uri in callers:
            assert await accepted("request", connection(uri)) == "request"
            continue
        with pytest.raises(ApiError) as refused:
            await accepted("request", connection(uri))
        assert refused.value.reason == Reason.PRINCIPAL_INVALID


async def test_who_is_named_by_no_certificate_is_refused() -> None:
    for path in (OPEN, PUBLIC):
        with pytest.raises(ApiError):
            await ACCEPT(path, handler)("request", connection())


async def test_in_the_clear_nobody_is_asked() -> None:
    assert Accept(RULES, {}, tls=False)(UNRULED, handler) is handler
