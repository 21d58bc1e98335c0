"""Promise 6: every RPC refuses every wrong caller, as REST and as gRPC, at the edge and past it.

Generated from the descriptor: a new RPC is covered without a line.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.access.v1.principal_pb2 import Principal
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from google.protobuf.message import Message

from lab.ca import SERVICES
from services.runtime.access import CATALOGUE, Role
from services.runtime.principal import HEADER, PrincipalSigner
from tests.integration import calls
from tests.integration.calls import RPCS, Audience, Refusal
from tests.integration.conftest import Key, System, eventually
from tests.integration.people import signed_in
from tests.integration.signing import signer_of
from tools.contract import Rpc

CUSTOMERS = [rpc for rpc in RPCS if rpc.rule and Audience.CUSTOMER in rpc.rule.audiences]
WITH_SERVER = [
    rpc for rpc in CUSTOMERS if rpc.rule and (rpc.rule.server_field or rpc.rule.ip_field)
]
"""What names a server, or an address, which is resolved to one."""
ADDRESSES = {"own": "198.19.7.1", "other": "198.19.7.2", "moved": "198.19.7.3"}
"""Of the cast's servers."""
NOT_PUBLIC = [
    rpc
    for rpc in RPCS
    if rpc.rule
    and not {*rpc.rule.audiences} & {Audience.PUBLIC, Audience.CUSTOMER, Audience.SESSION}
]
NOC = [rpc for rpc in RPCS if rpc.rule and Audience.NOC in rpc.rule.audiences]
OURS_ONLY = [
    rpc
    for rpc in RPCS
    if rpc.rule and {*rpc.rule.audiences} <= {Audience.SERVICE, Audience.FORWARDED}
]
GUARDED = [rpc for rpc in RPCS if rpc.rule and Audience.PUBLIC not in rpc.rule.audiences]
FOR_PEOPLE = [
    rpc
    for rpc in GUARDED
    if rpc not in NOT_PUBLIC and rpc.rule and Audience.SESSION in rpc.rule.audiences
]
"""For who signs in on the public listener."""
FOR_KEYS_ALONE = [rpc for rpc in CUSTOMERS if rpc not in FOR_PEOPLE]
CHANGES = [rpc for rpc in FOR_PEOPLE if rpc.http is None or rpc.http[0] != "GET"]
FOR_MEMBERS = [rpc for rpc in FOR_PEOPLE if rpc.rule and rpc.rule.role > Role.READ_ONLY]
ON_SERVERS = [rpc for rpc in FOR_PEOPLE if rpc in WITH_SERVER]
ON_OPERATIONS = [rpc for rpc in FOR_PEOPLE if rpc.rule and rpc.rule.operation_field]
BY_PRINCIPAL = [rpc for rpc in GUARDED if rpc.rule and Audience.NODE not in rpc.rule.audiences]
"""Machines have no principal; tests/integration/test_rescue.py refuses their tokens."""


CALLED_BY_SERVICES = {
    "/f2h.auth.v1.AuditService/RecordAttempt": {"server_ops", "security"},
    "/f2h.auth.v1.AuditService/RecordOutcome": {"server_ops", "security"},
    "/f2h.auth.v1.PolicyService/GetPolicy": {"server_ops", "security"},
    "/f2h.auth.v1.PrincipalService/RenewPrincipal": {"server_ops"},
    "/f2h.server_ops.v1.InventoryService/FilterOwned": {"auth"},
    "/f2h.server_ops.v1.AddressService/LocateServer": {"security"},
    "/f2h.server_ops.v1.AddressService/ListAddresses": {"security"},
    "/f2h.server_ops.v1.EventService/PublishEvent": {"security"},
}


def callers(rpc: Rpc) -> set[str]:
    """Whose certificate opens the RPC."""
    return CALLED_BY_SERVICES.get(rpc.path, {"edge"})


def name(rpc: Rpc) -> str:
    return rpc.path.rsplit("/", 1)[1]


@dataclass
class Cast:
    """Everybody who calls."""

    system: System
    server: str
    other_server: str
    moved_server: str
    good: Key
    revoked: Key
    expired: Key
    elsewhere: Key
    without: dict[str, Key]
    """By capability: a key that has every other one."""
    onlooker: dict[str, str]
    """E-mail address and password of a person who may only look."""
    people: dict[str, dict[str, str]]
    """Sessions, each used from a page of ours, by whose they are: in the account, a "member"'s and
    that of one who may only "look"; that of an "owner elsewhere"; and members' that have ended,
    "signed out" and "expired".
    """
    operation: str
    """The id of one of the account's operations."""
    internal: grpc.Channel
    straight: dict[tuple[str, str], grpc.Channel]
    """To a service, for each whose certificate is shown."""

    def request(self, rpc: Rpc, **values: str) -> Message:
        """A request about this cast's own server and its address, unless it is about another."""
        hostname = values.pop("hostname", self.server)
        ip = ADDRESSES.get(hostname.partition(".")[0], "203.0.113.9")
        return calls.request(rpc, hostname=hostname, ip=ip, **values)

    def refusals(self, rpc: Rpc, headers: dict[str, str], **values: str) -> set[Refusal | None]:
        """How the public edge answers, as REST, where it has that form, and as gRPC."""
        message = self.request(rpc, **values)
        native = calls.as_grpc(rpc, self.system.channel, message, headers)
        if rpc.http is None:
            return {native}
        return {native, calls.as_rest(rpc, self.system.stack.url, message, headers)}

    def refusals_inside(self, rpc: Rpc, headers: dict[str, str]) -> set[Refusal | None]:
        """How the internal listener answers."""
        message = calls.request(rpc, hostname="nobody.example.net")
        return {
            calls.as_rest(rpc, self.system.stack.internal_url, message, headers, self.system.trust),
            calls.as_grpc(rpc, self.internal, message, headers),
        }

    def refusal_straight(self, rpc: Rpc, headers: dict[str, str], as_: str) -> Refusal | None:
        """How the service answers, past the edge, who shows this certificate."""
        channel = self.straight[calls.service_of(rpc), as_]
        return calls.as_grpc(rpc, channel, self.request(rpc), headers)

    def principal(self, audience: "Audience.ValueType", **said: Any) -> dict[str, str]:
        """The header of a good principal of this kind."""
        principal = Principal(audience=audience, expire_seconds=int(time.time()) + 60, **said)
        return {HEADER: signer_of(self.system.stack.secrets).sign(principal)}


@pytest.fixture(scope="module")
def cast(system: System) -> Iterator[Cast]:
    bmc = system.bmc()
    server, other, moved = (
        system.server(bmc, hostname=f"{each}.access.example.net", ip=ip)
        for each, ip in ADDRESSES.items()
    )
    everything = [*CATALOGUE]
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    good = system.key(server, moved, capabilities=everything)
    revoked = system.key(server, capabilities=everything)
    expired = system.key(server, capabilities=everything, expire_time=soon)
    elsewhere = system.key(server, capabilities=everything, cidrs=["203.0.113.4/32"])
    system.account("other")
    without = {
        each: system.key(server, capabilities=[c for c in everything if c != each])
        for each in everything
    }
    system.noc("DELETE", f"/api/keys/{revoked.id}")
    assert system.noc("DELETE", f"/api/noc/servers/{moved}").status_code == 200
    moved_again = system.server(bmc, account="other", hostname=moved, ip=ADDRESSES["moved"])
    assert moved_again == moved

    def has_expired() -> bool:
        return system.rest("GET", "/api/servers", expired).status_code == 401

    eventually(has_expired, 10)
    operation = system.rest("POST", f"/api/servers/{server}/reboot", good).json()["name"]
    system.finished(operation, good)
    stack = system.stack
    internal = stack.internal_channel()
    straight = {
        (each, as_): stack.channel(each, as_) for each in SERVICES for as_ in ("edge", *SERVICES)
    }
    yield Cast(
        system=system,
        server=server,
        other_server=other,
        moved_server=moved,
        good=good,
        revoked=revoked,
        expired=expired,
        elsewhere=elsewhere,
        without=without,
        onlooker=_person(system, "READ_ONLY"),
        people=_people(system),
        operation=operation.partition("/")[2],
        internal=internal,
        straight=straight,
    )
    for channel in (internal, *straight.values()):
        channel.close()


@pytest.mark.parametrize("rpc", [r for r in GUARDED if r not in NOT_PUBLIC], ids=name)
@pytest.mark.parametrize("spoofed", [False, True], ids=["", "spoofed"])
def test_the_public_edge_refuses_who_shows_no_good_key(
    cast: Cast, rpc: Rpc, *, spoofed: bool
) -> None:
    spoof = calls.spoofed_headers() if spoofed else {}
    wrong = Key(cast.good.id, _wrong_secret(cast.good.secret))
    for headers, refusal in (
        ({}, Refusal("UNAUTHENTICATED", "CREDENTIAL_MISSING")),
        ({"X-API-Key": "nonsense"}, Refusal("UNAUTHENTICATED", "CREDENTIAL_INVALID")),
        (wrong.headers, Refusal("UNAUTHENTICATED", "CREDENTIAL_INVALID")),
        (cast.revoked.headers, Refusal("UNAUTHENTICATED", "KEY_REVOKED")),
        (cast.expired.headers, Refusal("UNAUTHENTICATED", "KEY_EXPIRED")),
        (cast.elsewhere.headers, Refusal("PERMISSION_DENIED", "ADDRESS_NOT_ALLOWED")),
    ):
        assert cast.refusals(rpc, {**headers, **spoof}) == {refusal}


@pytest.mark.parametrize("rpc", [r for r in CUSTOMERS if r.rule and r.rule.capability], ids=name)
def test_a_key_without_the_capability_is_refused(cast: Cast, rpc: Rpc) -> None:
    assert rpc.rule is not None
    needed = list(CATALOGUE)[rpc.rule.capability - 1]
    refusal = Refusal("PERMISSION_DENIED", "CAPABILITY_MISSING")
    assert cast.refusals(rpc, cast.without[needed].headers) == {refusal}


@pytest.mark.parametrize("rpc", WITH_SERVER, ids=name)
def test_another_server_is_refused_as_one_that_does_not_exist(cast: Cast, rpc: Rpc) -> None:
    refusal = Refusal("PERMISSION_DENIED", "SERVER_NOT_GRANTED")
    for server in (cast.other_server, "nobody.example.net"):
        assert cast.refusals(rpc, cast.good.headers, hostname=server) == {refusal}


@pytest.mark.parametrize("rpc", WITH_SERVER, ids=name)
def test_a_server_of_another_account_is_refused(cast: Cast, rpc: Rpc) -> None:
    refusal = Refusal("PERMISSION_DENIED", "SERVER_NOT_GRANTED")
    assert cast.refusals(rpc, cast.good.headers, hostname=cast.moved_server) == {refusal}


@pytest.mark.parametrize("rpc", [r for r in FOR_PEOPLE if r not in FOR_MEMBERS], ids=name)
def test_who_may_only_look_does_what_the_role_allows(cast: Cast, rpc: Rpc) -> None:
    url = cast.system.stack.url

    def signed_in() -> str | None:
        """The other calls of this test show wrong passwords, for which the next one has to wait."""
        answer = cast.system.rest("POST", "/api/auth/login", json=cast.onlooker)
        return str(answer.headers.get("set-cookie", "")).partition(";")[0]

    # Its own: one of these calls signs out.
    headers = {"Cookie": eventually(signed_in, 30), "Origin": url}
    message = cast.request(rpc, hostname=cast.other_server)
    answer = calls.as_rest(rpc, url, message, headers)
    assert answer is None or answer.code in {
        "UNAUTHENTICATED",  # the sample password is not the user's
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "UNIMPLEMENTED",
    }


@pytest.mark.parametrize("rpc", FOR_MEMBERS, ids=name)
def test_who_may_only_look_does_nothing_else(cast: Cast, rpc: Rpc) -> None:
    refusal = Refusal("PERMISSION_DENIED", "ROLE_MISSING")
    assert cast.refusals(rpc, cast.people["look"]) == {refusal}


@pytest.mark.parametrize("rpc", FOR_KEYS_ALONE, ids=name)
def test_what_is_for_keys_alone_is_refused_to_people(cast: Cast, rpc: Rpc) -> None:
    refusal = Refusal("PERMISSION_DENIED", "AUDIENCE_NOT_ALLOWED")
    assert cast.refusals(rpc, cast.people["member"]) == {refusal}


@pytest.mark.parametrize("rpc", CHANGES, ids=name)
def test_a_person_changes_nothing_but_from_a_page_of_ours(cast: Cast, rpc: Rpc) -> None:
    cookie = {"Cookie": cast.people["member"]["Cookie"]}
    neighbour = f"http://127.0.0.1:{cast.system.stack.ports.provisioning}"
    refusal = Refusal("PERMISSION_DENIED", "ORIGIN_NOT_ALLOWED")
    assert cast.refusals(rpc, cookie) == {refusal}
    for origin in ("null", "http://evil.example.net", neighbour):
        assert cast.refusals(rpc, {**cookie, "Origin": origin}) == {refusal}


@pytest.mark.parametrize("who", ["signed out", "expired"])
@pytest.mark.parametrize("rpc", FOR_PEOPLE, ids=name)
def test_a_session_that_has_ended_is_refused(cast: Cast, rpc: Rpc, who: str) -> None:
    refusal = Refusal("UNAUTHENTICATED", "SESSION_INVALID")
    assert cast.refusals(rpc, cast.people[who]) == {refusal}


@pytest.mark.parametrize("rpc", ON_SERVERS, ids=name)
def test_a_person_reaches_the_servers_of_the_account_and_no_other(cast: Cast, rpc: Rpc) -> None:
    refusal = Refusal("PERMISSION_DENIED", "SERVER_NOT_GRANTED")
    for server in (cast.moved_server, "nobody.example.net"):
        assert cast.refusals(rpc, cast.people["member"], hostname=server) == {refusal}
    for server in (cast.server, cast.other_server):
        refusals = cast.refusals(rpc, cast.people["owner elsewhere"], hostname=server)
        assert refusals == {refusal}


@pytest.mark.parametrize(("ip", "to"), [("own", "moved_server"), ("moved", "server")])
def test_a_person_moves_no_address_to_or_from_another_account(cast: Cast, ip: str, to: str) -> None:
    [move] = [rpc for rpc in FOR_PEOPLE if name(rpc) == "MoveIp"]
    message = calls.request(move, ip=ADDRESSES[ip], hostname=getattr(cast, to))
    refusal = Refusal("PERMISSION_DENIED", "SERVER_NOT_GRANTED")
    member = cast.people["member"]
    assert calls.as_rest(move, cast.system.stack.url, message, member) == refusal
    assert calls.as_grpc(move, cast.system.channel, message, member) == refusal


@pytest.mark.parametrize("rpc", ON_OPERATIONS, ids=name)
def test_a_person_finds_no_operation_of_another_account(cast: Cast, rpc: Rpc) -> None:
    stranger = cast.people["owner elsewhere"]
    refusal = Refusal("NOT_FOUND", "NOT_FOUND")
    assert cast.refusals(rpc, stranger, id=cast.operation) == {refusal}


def test_googles_own_name_of_a_call_is_under_the_same_rule(cast: Cast) -> None:
    """It is no method of our descriptor, so no other test here calls it."""
    cancel = cast.system.channel.unary_unary(
        "/google.longrunning.Operations/CancelOperation",
        request_serializer=operations_pb2.CancelOperationRequest.SerializeToString,
        response_deserializer=empty_pb2.Empty.FromString,
    )
    request = operations_pb2.CancelOperationRequest(name=f"operations/{cast.operation}")
    for who, origin, refusal in (
        ("member", "http://evil.example.net", "ORIGIN_NOT_ALLOWED"),
        ("look", "", "ROLE_MISSING"),
        ("owner elsewhere", "", "NOT_FOUND"),
        ("signed out", "", "SESSION_INVALID"),
        ("member", "", "NOT_CANCELLABLE"),  # it has ended
    ):
        headers = {**cast.people[who], **({"Origin": origin} if origin else {})}
        metadata = tuple((key.lower(), value) for key, value in headers.items())
        with pytest.raises(grpc.RpcError) as refused:
            cancel(request, metadata=metadata, timeout=20)
        assert calls.reason_of(refused.value) == refusal


@pytest.mark.parametrize("rpc", CUSTOMERS, ids=name)
def test_a_token_without_the_capability_or_the_server_is_refused(cast: Cast, rpc: Rpc) -> None:
    assert rpc.rule is not None
    needed = list(CATALOGUE)[rpc.rule.capability - 1] if rpc.rule.capability else ""
    others = [each for each in CATALOGUE if each != needed]
    bearer = _bearer(cast.system, cast.good, capabilities=others)
    refusals = cast.refusals(rpc, bearer)
    if rpc.rule.any_key:
        told = {
            "CreateToken": Refusal("PERMISSION_DENIED", "AUDIENCE_NOT_ALLOWED"),
            "CancelOperation": Refusal("NOT_FOUND", "NOT_FOUND"),
            "ListTools": None,  # it shows what the token may call
        }
        assert refusals == {told[rpc.method.name]}
        return
    assert refusals == {Refusal("PERMISSION_DENIED", "CAPABILITY_MISSING")}
    if rpc in WITH_SERVER:
        elsewhere = _bearer(cast.system, cast.good, servers=[cast.moved_server])
        refusal = Refusal("PERMISSION_DENIED", "SERVER_NOT_GRANTED")
        assert cast.refusals(rpc, elsewhere) == {refusal}


@pytest.mark.parametrize("rpc", NOT_PUBLIC, ids=name)
def test_what_is_not_for_customers_does_not_exist_on_the_public_edge(cast: Cast, rpc: Rpc) -> None:
    noc = {"X-API-Key": cast.system.stack.noc_key()}
    for headers in ({}, cast.good.headers, noc):
        for refusal in cast.refusals(rpc, headers):
            assert refusal is not None
            # gRPC's own word for a method that is not there is UNIMPLEMENTED.
            assert refusal.code in {"NOT_FOUND", "UNIMPLEMENTED"}
            assert refusal.reason == "NOT_FOUND"


@pytest.mark.parametrize("rpc", NOC, ids=name)
def test_the_internal_listener_refuses_everybody_but_the_noc(cast: Cast, rpc: Rpc) -> None:
    for headers, refusal in (
        ({}, Refusal("UNAUTHENTICATED", "CREDENTIAL_MISSING")),
        (cast.good.headers, Refusal("PERMISSION_DENIED", "AUDIENCE_NOT_ALLOWED")),
        (cast.revoked.headers, Refusal("UNAUTHENTICATED", "KEY_REVOKED")),
    ):
        assert cast.refusals_inside(rpc, headers) == {refusal}


@pytest.mark.parametrize("rpc", OURS_ONLY, ids=name)
def test_what_is_for_our_services_alone_passes_no_listener(cast: Cast, rpc: Rpc) -> None:
    noc = {"X-API-Key": cast.system.stack.noc_key()}
    for refusal in cast.refusals_inside(rpc, noc):
        assert refusal is not None
        assert refusal.code in {"NOT_FOUND", "UNIMPLEMENTED"}


@pytest.mark.parametrize("rpc", BY_PRINCIPAL, ids=name)
def test_a_service_that_is_reached_past_the_edge_refuses_who_shows_no_good_principal(
    cast: Cast, rpc: Rpc
) -> None:
    forger = PrincipalSigner(1, Ed25519PrivateKey.generate())
    principal = Principal(
        audience=rpc.rule.audiences[0] if rpc.rule else Audience.CUSTOMER,
        subject=cast.good.id,
        account="acme",
        expire_seconds=int(time.time()) + 60,
    )
    late = Principal(audience=principal.audience, expire_seconds=int(time.time()) - 1)
    for headers in (
        {},
        cast.good.headers,
        {"X-API-Key": cast.system.stack.noc_key()},
        {HEADER: "bm90IGEgcHJpbmNpcGFs"},
        {HEADER: forger.sign(principal)},
        {HEADER: signer_of(cast.system.stack.secrets).sign(late)},
    ):
        for as_ in callers(rpc):
            refusal = cast.refusal_straight(rpc, headers, as_)
            assert refusal == Refusal("UNAUTHENTICATED", "PRINCIPAL_INVALID")


@pytest.mark.parametrize("rpc", RPCS, ids=name)
def test_a_service_refuses_whose_certificate_has_no_business_with_a_call(
    cast: Cast, rpc: Rpc
) -> None:
    audience = rpc.rule.audiences[0] if rpc.rule else Audience.CUSTOMER
    for as_ in {"edge", *SERVICES} - callers(rpc):
        refusal = cast.refusal_straight(rpc, cast.principal(audience), as_)
        assert refusal == Refusal("UNAUTHENTICATED", "PRINCIPAL_INVALID")


@pytest.mark.parametrize("rpc", BY_PRINCIPAL, ids=name)
def test_a_service_refuses_a_good_principal_of_another_kind(cast: Cast, rpc: Rpc) -> None:
    if rpc.rule is None or Audience.FORWARDED in rpc.rule.audiences:
        return  # open to every kind, for what the principal itself names
    for audience in {Audience.CUSTOMER, Audience.NOC, Audience.SERVICE} - {*rpc.rule.audiences}:
        for as_ in callers(rpc):
            refusal = cast.refusal_straight(rpc, cast.principal(audience), as_)
            assert refusal == Refusal("PERMISSION_DENIED", "AUDIENCE_NOT_ALLOWED")


@pytest.mark.parametrize("rpc", FOR_MEMBERS, ids=name)
def test_a_service_enforces_the_role_of_a_person_itself(cast: Cast, rpc: Rpc) -> None:
    person = cast.principal(
        Audience.SESSION, role=Role.READ_ONLY, account="acme", subject="0" * 16, session="0" * 16
    )
    refusal = Refusal("PERMISSION_DENIED", "ROLE_MISSING")
    assert {cast.refusal_straight(rpc, person, as_) for as_ in callers(rpc)} == {refusal}


@pytest.mark.parametrize("rpc", ON_SERVERS, ids=name)
def test_a_service_enforces_the_account_of_a_person_itself(cast: Cast, rpc: Rpc) -> None:
    person = cast.principal(
        Audience.SESSION, role=Role.OWNER, account="other", subject="0" * 16, session="0" * 16
    )
    refusal = Refusal("PERMISSION_DENIED", "SERVER_NOT_GRANTED")
    assert {cast.refusal_straight(rpc, person, as_) for as_ in callers(rpc)} == {refusal}


def _people(system: System) -> dict[str, dict[str, str]]:
    """See Cast.people."""
    made = {}
    for who, role, account in (
        ("member", "MEMBER", "acme"),
        ("look", "READ_ONLY", "acme"),
        ("owner elsewhere", "OWNER", "other"),
        ("signed out", "MEMBER", "acme"),
        ("expired", "MEMBER", "acme"),
    ):
        with signed_in(system, role, account) as browser:
            made[who] = browser.headers
            if who == "signed out":
                assert browser.post("/api/auth/logout").is_success
    session = made["expired"]["Cookie"].split(".")[1]
    with closing(sqlite3.connect(system.stack.run / "auth.db")) as database:
        past = "UPDATE user_session SET expire_time = create_time WHERE id = ?"
        assert database.execute(past, (session,)).rowcount == 1
        database.commit()
    return made


def _person(system: System, role: str) -> dict[str, str]:
    """E-mail address and password of a new user with this role."""
    form = {"account": "acme", "email": f"{role}@example.net", "role": role}
    password = system.noc("POST", "/api/noc/users", json=form).json()["password"]
    return {"email": form["email"], "password": password}


def _bearer(system: System, key: Key, **form: list[str]) -> dict[str, str]:
    """The header of a token that does not have all that its key has.

    The edge fetches what tokens are verified with when it starts; until then it refuses them all.
    """
    answer = system.rest("POST", "/api/auth/token", key, json=form)
    assert answer.status_code == 200, answer.text
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    url = "/api/servers?page_size=1"
    eventually(lambda: system.rest("GET", url, headers=bearer).status_code != 401)
    return bearer


def _wrong_secret(key: str) -> str:
    """The key with another secret whose check is right, as an attacker would make it."""
    from services.auth.keys.secret import KeyText, _check

    key_id, random = key.split(".")[1], "x" * 33
    return str(KeyText(key_id, random + _check(key_id, random)))
