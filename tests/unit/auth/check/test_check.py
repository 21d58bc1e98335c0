import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.access.v1.reason_pb2 import Reason
from google.rpc import error_details_pb2

from services.auth.bootstrap import CHECKED
from services.auth.check.check import PRINCIPAL_SECONDS, Attempt, Check, Passage
from services.auth.check.failures import Failures
from services.auth.check.records import KeyRecord, SessionRecord
from services.auth.keys.key import SecretDigest
from services.auth.keys.secret import SESSION_PREFIX, KeyText, generate
from services.auth.keys.usage import Usage, Use
from services.runtime.access import Audience, Role, Rule, rules
from services.runtime.errors import ApiError
from services.runtime.policy import Policy
from services.runtime.principal import PrincipalSigner, PrincipalVerifier
from services.runtime.quota import PerMinute
from tests.unit.auth.rings import digests

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
DIGESTS = digests({1: bytes(32), 2: bytes(range(32))})

REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"
DETAILS = "/test.Service/Details"
CATALOGUE = "/test.Service/Catalogue"
KEYS = "/test.Service/Keys"
NOC = "/test.Service/Noc"
SHARED = "/test.Service/Shared"
FORWARDED = "/test.Service/Forwarded"
NOBODY = "/test.Service/Nobody"

RULES = {
    REBOOT: Rule(frozenset({Audience.CUSTOMER}), "server.reboot", "hostname"),
    DETAILS: Rule(frozenset({Audience.CUSTOMER, Audience.SESSION}), "server.details", ""),
    CATALOGUE: Rule(frozenset({Audience.PUBLIC}), "", ""),
    KEYS: Rule(frozenset({Audience.SESSION, Audience.NOC}), "", ""),
    NOC: Rule(frozenset({Audience.NOC}), "", ""),
    SHARED: Rule(frozenset({Audience.CUSTOMER, Audience.NOC}), "server.details", ""),
    FORWARDED: Rule(frozenset({Audience.FORWARDED, Audience.SERVICE}), "", ""),
    NOBODY: Rule(frozenset(), "", ""),
}


def record(key: KeyText, **changes: Any) -> KeyRecord:
    policy = Policy(["server.reboot", "server.details"], ["ns1.example.net"])
    return replace(
        KeyRecord(
            id=key.id,
            audience=Audience.CUSTOMER,
            account="demo",
            pepper=2,
            digest=DIGESTS.digest(key.secret, 2),
            capabilities=policy.capabilities,
            cidrs=(),
            policy_digest=policy.digest(),
            expire_time=None,
            revoked=False,
        ),
        **changes,
    )


class CountedRecords:
    """Keys by id, and how often each was read."""

    def __init__(self) -> None:
        self.records: dict[str, KeyRecord] = {}
        self.certificates: dict[str, KeyRecord] = {}
        self.reads: Counter[str] = Counter()

    async def record(self, key_id: str) -> KeyRecord | None:
        self.reads[key_id] += 1
        return self.records.get(key_id)

    async def certified(self, name: str) -> KeyRecord | None:
        self.reads[name] += 1
        return self.certificates.get(name)

    async def redigest(self, key_id: str, old: SecretDigest, new: SecretDigest) -> None:
        assert self.records[key_id].pepper == old.pepper
        self.records[key_id] = replace(self.records[key_id], pepper=new.pepper, digest=new.digest)

    async def note(self, uses: Iterable[Use]) -> None:
        raise NotImplementedError

    def make(self, **changes: Any) -> KeyText:
        """The text of a new key with such a record."""
        key = generate()
        self.records[key.id] = record(key, **changes)
        return key

    def change(self, key: KeyText, **changes: Any) -> None:
        self.records[key.id] = replace(self.records[key.id], **changes)


class KeptSessions:
    """Sessions by id, and when each was touched."""

    def __init__(self) -> None:
        self.records: dict[str, SessionRecord] = {}
        self.touched: list[tuple[str, datetime]] = []

    async def record(self, session_id: str) -> SessionRecord | None:
        return self.records.get(session_id)

    async def touch(self, session_id: str, now: datetime) -> None:
        self.touched.append((session_id, now))
        self.records[session_id] = replace(self.records[session_id], last_used_time=now)

    def make(self, **changes: Any) -> KeyText:
        """The token of a new session with such a record."""
        token = generate(SESSION_PREFIX)
        self.records[token.id] = replace(
            SessionRecord(
                id=token.id,
                user="d" * 16,
                account="demo",
                audience=Audience.SESSION,
                role=Role.MEMBER,
                pepper=2,
                digest=DIGESTS.digest(token.secret, 2),
                last_used_time=NOW,
                expire_time=NOW + timedelta(hours=12),
            ),
            **changes,
        )
        return token


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def keys() -> CountedRecords:
    return CountedRecords()


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def check(keys: CountedRecords, clock: Time) -> Check:
    return checking(keys, clock)


def checking(
    keys: CountedRecords,
    clock: Time,
    cache_seconds: float = 60,
    access: Mapping[str, Rule] | None = None,
    cache_size: int = 1000,
    sessions: KeptSessions | None = None,
    failures_per_minute: int = 10_000,
) -> Check:
    return Check(
        access or RULES,
        keys,
        sessions or KeptSessions(),
        digests=DIGESTS,
        signer=PrincipalSigner(7, SIGNING_KEY),
        usage=Usage(keys, clock),
        failures=Failures(PerMinute(failures_per_minute)),
        clock=clock,
        idle=timedelta(minutes=30),
        origins=frozenset({"https://console.example.net"}),
        cache_size=cache_size,
        cache_seconds=cache_seconds,
    )


def attempt(
    key: KeyText | str,
    path: str = REBOOT,
    *,
    listener: str = "public",
    address: str = "203.0.113.4",
) -> Attempt:
    return Attempt(path=path, listener=listener, key=str(key), address=address)


async def refusal(check: Check, tried: Attempt) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await check(tried)
    return refused.value


# --- What passes


async def test_the_principal_of_a_good_key_is_verified_by_a_service(
    check: Check, keys: CountedRecords, clock: Time
) -> None:
    key = keys.make()
    header = (await check(attempt(key))).principal
    principal = PrincipalVerifier({7: SIGNING_KEY.public_key()}, clock).verify(header)
    assert principal.audience == Audience.CUSTOMER
    assert (principal.subject, principal.account) == (key.id, "demo")
    assert principal.policy_digest == keys.records[key.id].policy_digest
    assert principal.expire_seconds == int(NOW.timestamp()) + PRINCIPAL_SECONDS


async def test_a_principal_is_no_longer_for_a_thousand_servers(
    check: Check, keys: CountedRecords
) -> None:
    policy = Policy(
        (rule.capability for rule in rules(*CHECKED).values()),
        (f"ns{number}.ip-149-202-215.example.net" for number in range(1000)),
    )
    assert len(policy.encode()) > 30_000
    key = keys.make(
        account="a" * 64, capabilities=policy.capabilities, policy_digest=policy.digest()
    )
    many = (await check(attempt(key, DETAILS))).principal
    few = (await check(attempt(keys.make(account="a" * 64), DETAILS))).principal
    assert len(many) == len(few) < 600


async def test_a_principal_holds_no_secret(check: Check, keys: CountedRecords) -> None:
    key = keys.make()
    content = base64.urlsafe_b64decode((await check(attempt(key))).principal)
    assert key.secret.encode() not in content
    assert keys.records[key.id].digest not in content


@pytest.mark.parametrize(
    ("listener", "key"),
    [*product(["public", "internal"], ["", "no key at all", "f2h.0123456789abcdef.x"])],
)
async def test_a_public_call_needs_no_key(
    check: Check, keys: CountedRecords, listener: str, key: str
) -> None:
    assert await check(attempt(key, CATALOGUE, listener=listener)) == Passage()
    assert not keys.reads


async def test_a_noc_key_passes_the_internal_listener(
    check: Check, keys: CountedRecords, clock: Time
) -> None:
    key = keys.make(audience=Audience.NOC, account="", capabilities=frozenset())
    verifier = PrincipalVerifier({7: SIGNING_KEY.public_key()}, clock)
    for path in (NOC, KEYS, SHARED):
        passage = await check(attempt(key, path, listener="internal"))
        principal = verifier.verify(passage.principal)
        assert principal.audience == Audience.NOC


# --- What is refused before a key is looked at


@pytest.mark.parametrize("key", ["", "good"])
@pytest.mark.parametrize(
    ("path", "listener"),
    [
        ("/test.Service/Missing", "public"),
        ("", "public"),
        ("/", "internal"),
        (REBOOT + "/", "public"),
        (REBOOT.lower(), "public"),
        (REBOOT, ""),
        (REBOOT, "PUBLIC"),
        (REBOOT, "other"),
        (CATALOGUE, "other"),
        (NOC, "public"),
        (REBOOT, "internal"),
        (FORWARDED, "public"),
        (FORWARDED, "internal"),
        (NOBODY, "public"),
        (NOBODY, "internal"),
        ("/grpc.health.v1.Health/Check", "internal"),
    ],
)
async def test_a_call_that_a_listener_does_not_know_is_not_found(
    check: Check, keys: CountedRecords, path: str, listener: str, key: str
) -> None:
    text = keys.make() if key else ""
    error = await refusal(check, attempt(text, path, listener=listener))
    assert error.reason == Reason.NOT_FOUND
    assert not keys.reads


async def test_no_key_is_told_how_to_send_one(check: Check, keys: CountedRecords) -> None:
    error = await refusal(check, attempt(""))
    assert error.reason == Reason.CREDENTIAL_MISSING
    assert "X-API-Key" in error.message
    assert not keys.reads


async def test_a_mistyped_key_is_refused_without_a_read(check: Check, keys: CountedRecords) -> None:
    text = str(keys.make())
    for place in range(len(text)):
        mistyped = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
        assert (await refusal(check, attempt(mistyped))).reason == Reason.CREDENTIAL_INVALID
    assert not keys.reads


# --- What is refused of a key


def other_secret(key: KeyText) -> str:
    """A key with the same id that has the form, and another secret."""
    from services.auth.keys.secret import _check

    random = "A" * 33
    return f"f2h.{key.id}.{random}{_check(key.id, random)}"


async def test_an_unknown_key_a_wrong_secret_and_a_mistyped_key_look_the_same(
    check: Check, keys: CountedRecords
) -> None:
    key = keys.make()
    errors = [
        await refusal(check, attempt(tried))
        for tried in (generate(), other_secret(key), "f2h.mistyped")
    ]
    assert {error.reason for error in errors} == {Reason.CREDENTIAL_INVALID}
    assert len({error.status().SerializeToString() for error in errors}) == 1
    assert not any(error.violations or error.metadata for error in errors)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"revoked": True}, Reason.KEY_REVOKED),
        ({"expire_time": NOW}, Reason.KEY_EXPIRED),
        ({"expire_time": NOW - timedelta(microseconds=1)}, Reason.KEY_EXPIRED),
        ({"cidrs": ("192.0.2.0/24",)}, Reason.ADDRESS_NOT_ALLOWED),
        ({"audience": Audience.NOC}, Reason.AUDIENCE_NOT_ALLOWED),
        ({"capabilities": frozenset({"server.details"})}, Reason.CAPABILITY_MISSING),
        ({"pepper": 3}, Reason.CREDENTIAL_INVALID),
    ],
)
async def test_what_is_wrong_with_a_key_is_told_only_to_who_knows_its_secret(
    check: Check,
    keys: CountedRecords,
    changes: dict[str, object],
    reason: "Reason.ValueType",
) -> None:
    key = keys.make(**changes)
    assert (await refusal(check, attempt(key))).reason == reason
    guessed = await refusal(check, attempt(other_secret(key)))
    assert guessed.reason == Reason.CREDENTIAL_INVALID


async def test_a_wrong_secret_does_not_cost_the_time_that_the_keys_networks_take(
    check: Check, keys: CountedRecords
) -> None:
    """They are not even looked at: the time of a refusal tells nothing of a key that is there."""
    key = keys.make(cidrs=("no network",))
    error = await refusal(check, attempt(other_secret(key)))
    assert error.reason == Reason.CREDENTIAL_INVALID
    with pytest.raises(ValueError, match="no network"):
        await check(attempt(key))


async def test_a_rule_without_a_capability_lets_no_customer_pass(
    keys: CountedRecords, clock: Time
) -> None:
    """The contract's own check refuses such a rule; should one slip through, nobody passes."""
    access = {DETAILS: Rule(frozenset({Audience.CUSTOMER}), "", "")}
    error = await refusal(checking(keys, clock, access=access), attempt(keys.make(), DETAILS))
    assert error.reason == Reason.CAPABILITY_MISSING


async def test_a_key_works_until_its_end(check: Check, keys: CountedRecords, clock: Time) -> None:
    key = keys.make(expire_time=NOW + timedelta(seconds=1))
    assert await check(attempt(key))
    clock.now += timedelta(seconds=1)
    assert (await refusal(check, attempt(key))).reason == Reason.KEY_EXPIRED


async def test_a_refusal_for_a_capability_names_it(check: Check, keys: CountedRecords) -> None:
    key = keys.make(capabilities=frozenset({"server.details"}))
    assert await check(attempt(key, DETAILS))
    error = await refusal(check, attempt(key, REBOOT))
    assert error.metadata == {"capability": "server.reboot"}


async def test_a_key_without_capabilities_can_do_nothing(
    check: Check, keys: CountedRecords
) -> None:
    key = keys.make(capabilities=frozenset())
    for path in (REBOOT, DETAILS):
        assert (await refusal(check, attempt(key, path))).reason == Reason.CAPABILITY_MISSING


NETWORKS = ("203.0.113.4/32", "198.51.100.0/24", "2001:db8::/32")


@pytest.mark.parametrize(
    "address",
    [
        "203.0.113.4",
        "198.51.100.255",
        "2001:db8::1",
        "2001:db8:ffff:ffff::",
        "::ffff:203.0.113.4",
        "::ffff:c633:6407",
    ],
)
async def test_a_key_works_from_its_networks(
    check: Check, keys: CountedRecords, address: str
) -> None:
    key = keys.make(cidrs=NETWORKS)
    assert await check(attempt(key, address=address))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("198.51.101.0", "198.51.101.0"),
        ("2001:db9::1", "2001:db9::1"),
        ("::1", "::1"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("::203.0.113.4", "::cb00:7104"),  # a mere IPv6 address, not a mapped one
        ("fe80::1%eth0", "fe80::1"),
    ],
)
async def test_a_key_is_refused_from_elsewhere_naming_the_address(
    check: Check, keys: CountedRecords, address: str, told: str
) -> None:
    key = keys.make(cidrs=NETWORKS)
    error = await refusal(check, attempt(key, address=address))
    assert error.reason == Reason.ADDRESS_NOT_ALLOWED
    assert error.metadata == {"client_address": told}


@pytest.mark.parametrize("address", ["", "nonsense", "203.0.113.4:80", "203.0.113.4, 10.0.0.1"])
async def test_an_address_that_is_none_is_in_no_network(
    check: Check, keys: CountedRecords, address: str
) -> None:
    key = keys.make(cidrs=("0.0.0.0/0", "::/0"))
    error = await refusal(check, attempt(key, address=address))
    assert error.reason == Reason.ADDRESS_NOT_ALLOWED


async def test_a_key_of_all_ipv4_networks_is_refused_over_ipv6(
    check: Check, keys: CountedRecords
) -> None:
    key = keys.make(cidrs=("0.0.0.0/0",))
    assert await check(attempt(key, address="8.8.8.8"))
    error = await refusal(check, attempt(key, address="2001:db8::1"))
    assert error.reason == Reason.ADDRESS_NOT_ALLOWED


# --- The two listeners


@pytest.mark.parametrize("path", sorted(RULES.keys() - {CATALOGUE}))
async def test_a_noc_key_passes_nothing_of_the_public_listener(
    check: Check, keys: CountedRecords, path: str
) -> None:
    key = keys.make(audience=Audience.NOC, account="", capabilities=frozenset())
    error = await refusal(check, attempt(key, path))
    assert error.reason in {Reason.AUDIENCE_NOT_ALLOWED, Reason.NOT_FOUND}


@pytest.mark.parametrize("path", sorted(RULES.keys() - {CATALOGUE}))
async def test_a_customers_key_passes_nothing_of_the_internal_listener(
    check: Check, keys: CountedRecords, path: str
) -> None:
    error = await refusal(check, attempt(keys.make(), path, listener="internal"))
    assert error.reason in {Reason.AUDIENCE_NOT_ALLOWED, Reason.NOT_FOUND}


@pytest.mark.parametrize(
    ("listener", "audience"), [("public", Audience.NOC), ("internal", Audience.CUSTOMER)]
)
async def test_no_call_of_the_contract_lets_a_key_of_the_other_listener_pass(
    keys: CountedRecords, clock: Time, listener: str, audience: int
) -> None:
    contract = rules(*CHECKED)
    check = checking(keys, clock, access=contract)
    every = frozenset(rule.capability for rule in contract.values())
    key = keys.make(audience=audience, capabilities=every)
    passed = []
    for path, rule in contract.items():
        if Audience.PUBLIC in rule.audiences:
            continue
        try:
            await check(attempt(key, path, listener=listener))
        except ApiError:
            continue
        passed.append(path)
    assert passed == []


@pytest.mark.parametrize(
    "audience", [Audience.AUDIENCE_UNSPECIFIED, Audience.SERVICE, Audience.FORWARDED]
)
@pytest.mark.parametrize("listener", ["public", "internal"])
async def test_a_key_of_a_kind_that_keys_are_not_passes_nothing(
    check: Check, keys: CountedRecords, audience: int, listener: str
) -> None:
    key = keys.make(audience=audience)
    for path in sorted(RULES.keys() - {CATALOGUE}):
        error = await refusal(check, attempt(key, path, listener=listener))
        assert error.reason in {Reason.AUDIENCE_NOT_ALLOWED, Reason.NOT_FOUND}


# --- The cache


async def test_a_key_is_read_once(check: Check, keys: CountedRecords) -> None:
    key = keys.make()
    headers = {await check(attempt(key)) for _ in range(20)}
    assert keys.reads == {key.id: 1}
    assert len(headers) == 1, "one signature serves many calls"


async def test_a_flood_of_made_up_keys_displaces_no_real_one(
    keys: CountedRecords, clock: Time
) -> None:
    check = checking(keys, clock, cache_size=2)
    key = keys.make()
    assert await check(attempt(key))
    for _ in range(20):
        await refusal(check, attempt(generate()))
    assert await check(attempt(key))
    assert keys.reads[key.id] == 1


async def test_a_key_that_changed_elsewhere_passes_until_it_is_read_again(
    keys: CountedRecords, clock: Time
) -> None:
    check = checking(keys, clock, cache_seconds=0)
    key = keys.make()
    assert await check(attempt(key))
    keys.change(key, revoked=True)
    assert (await refusal(check, attempt(key))).reason == Reason.KEY_REVOKED


async def test_a_forgotten_key_is_read_again_at_once(check: Check, keys: CountedRecords) -> None:
    key, other = keys.make(), keys.make()
    assert await check(attempt(key))
    assert await check(attempt(other))
    keys.change(key, revoked=True)
    assert await check(attempt(key))
    check.forget_key(key.id)
    check.forget_key("unknown")
    assert (await refusal(check, attempt(key))).reason == Reason.KEY_REVOKED
    assert await check(attempt(other))
    assert keys.reads == {key.id: 2, other.id: 1}


async def test_a_key_that_is_forgotten_while_it_is_read_is_not_kept_as_it_was(
    clock: Time,
) -> None:
    class RevokedMeanwhile(CountedRecords):
        async def record(self, key_id: str) -> KeyRecord | None:
            found = await super().record(key_id)
            if self.reads[key_id] == 1:
                self.change(key, revoked=True)
                check.forget_key(key_id)
            return found

    keys = RevokedMeanwhile()
    key = keys.make()
    check = checking(keys, clock)
    assert await check(attempt(key)), "it was under way before the key was revoked"
    assert (await refusal(check, attempt(key))).reason == Reason.KEY_REVOKED


async def test_another_policy_is_another_principal(check: Check, keys: CountedRecords) -> None:
    key = keys.make()
    before = await check(attempt(key))
    keys.change(key, policy_digest=bytes(32))
    check.forget_key(key.id)
    assert await check(attempt(key)) != before


async def test_keys_that_cannot_be_read_let_nothing_pass_and_are_not_remembered(
    clock: Time,
) -> None:
    class Failing(CountedRecords):
        async def record(self, key_id: str) -> KeyRecord | None:
            found = await super().record(key_id)
            if self.reads[key_id] == 1:
                raise ConnectionError
            return found

    keys = Failing()
    key = keys.make()
    check = checking(keys, clock)
    with pytest.raises(ConnectionError):
        await check(attempt(key))
    assert await check(attempt(key))


async def test_no_refusal_shows_the_key(check: Check, keys: CountedRecords) -> None:
    key = keys.make(revoked=True)
    for tried in (key, other_secret(key), str(key)[:-1], "X" * 63):
        error = await refusal(check, attempt(tried))
        shown = error.status().SerializeToString() + repr(error).encode()
        assert str(tried).rpartition(".")[2].encode() not in shown
        info = error_details_pb2.ErrorInfo()
        assert error.status().details[0].Unpack(info)
        assert info.domain == "f2hcloud"


# --- Sessions


CHANGE = "/test.Service/Change"
READ = "/test.Service/Read"
OWN = "/test.Service/Own"
STAFF = "/test.Service/Staff"
SIGN_IN = "/test.Service/SignIn"

PEOPLE = {
    CHANGE: Rule(frozenset({Audience.SESSION}), "", "", role=Role.MEMBER),
    READ: Rule(frozenset({Audience.SESSION}), "", "", role=Role.READ_ONLY, mutates=False),
    OWN: Rule(frozenset({Audience.SESSION}), "", "", role=Role.OWNER, mutates=False),
    STAFF: Rule(frozenset({Audience.STAFF}), "", "", role=Role.READ_ONLY, mutates=False),
    SIGN_IN: Rule(frozenset({Audience.PUBLIC}), "", ""),
    REBOOT: RULES[REBOOT],
}

OURS = "http://api.example.net:8000"


@pytest.fixture
def sessions() -> KeptSessions:
    return KeptSessions()


@pytest.fixture
def people(keys: CountedRecords, sessions: KeptSessions, clock: Time) -> Check:
    return checking(keys, clock, access=PEOPLE, sessions=sessions, cache_seconds=0)


def visit(
    token: KeyText | str, path: str = READ, *, origin: str = OURS, listener: str = "public"
) -> Attempt:
    return Attempt(
        path=path,
        listener=listener,
        key="",
        address="203.0.113.4",
        session=str(token),
        host="api.example.net:8000",
        origin=origin,
    )


async def test_a_session_passes_as_its_user(
    people: Check, sessions: KeptSessions, clock: Time
) -> None:
    token = sessions.make(role=Role.OWNER)
    for path in (CHANGE, READ, OWN):
        passage = await people(visit(token, path))
        principal = PrincipalVerifier({7: SIGNING_KEY.public_key()}, clock).verify(
            passage.principal
        )
        assert (principal.audience, principal.role) == (Audience.SESSION, Role.OWNER)
        assert (principal.subject, principal.account) == ("d" * 16, "demo")
        assert (principal.session, principal.policy_digest) == (token.id, b"")


async def test_a_role_that_is_too_small_is_told_which_one_is_needed(
    people: Check, sessions: KeptSessions
) -> None:
    token = sessions.make(role=Role.READ_ONLY)
    assert await people(visit(token, READ))
    for path, needed in ((CHANGE, "MEMBER"), (OWN, "OWNER")):
        error = await refusal(people, visit(token, path))
        assert (error.reason, error.metadata) == (Reason.ROLE_MISSING, {"role": needed})


async def test_an_unknown_an_ended_and_a_malformed_session_look_the_same(
    people: Check, sessions: KeptSessions, clock: Time
) -> None:
    wrong = sessions.make(digest=bytes(32))
    late = sessions.make(expire_time=NOW)
    idle = sessions.make(last_used_time=NOW - timedelta(minutes=30))
    errors = [
        await refusal(people, visit(token))
        for token in (generate(SESSION_PREFIX), "nonsense", wrong, late, idle)
    ]
    assert {error.reason for error in errors} == {Reason.SESSION_INVALID}
    assert len({error.status().SerializeToString() for error in errors}) == 1


async def test_a_key_is_no_session_and_a_session_no_key(
    people: Check, keys: CountedRecords, sessions: KeptSessions
) -> None:
    key, token = keys.make(), sessions.make()
    assert (await refusal(people, visit(key))).reason == Reason.SESSION_INVALID
    assert (await refusal(people, attempt(token))).reason == Reason.CREDENTIAL_INVALID


async def test_a_session_lives_on_while_it_is_used_and_not_past_its_end(
    people: Check, sessions: KeptSessions, clock: Time
) -> None:
    token = sessions.make(expire_time=NOW + timedelta(hours=2))
    for _ in range(5):
        clock.now += timedelta(minutes=20)
        assert await people(visit(token))
    assert len(sessions.touched) == 5
    assert await people(visit(token))
    assert len(sessions.touched) == 5, "written down once a minute at most"
    clock.now = NOW + timedelta(hours=2)
    assert (await refusal(people, visit(token))).reason == Reason.SESSION_INVALID


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://evil.example.net",
        "http://api.example.net",
        "http://api.example.net:8000.evil.example.net",
        "http://evil.example.net#api.example.net:8000",
        "file://api.example.net:8000",
        "https://console.example.net.evil.example.net",
    ],
)
async def test_a_page_of_another_site_changes_nothing(
    people: Check, sessions: KeptSessions, origin: str
) -> None:
    token = sessions.make()
    error = await refusal(people, visit(token, CHANGE, origin=origin))
    assert error.reason == Reason.ORIGIN_NOT_ALLOWED
    assert await people(visit(token, READ, origin=origin)), "what only looks is not stopped"


@pytest.mark.parametrize("origin", [OURS, "https://console.example.net"])
async def test_our_own_pages_may_change_things(
    people: Check, sessions: KeptSessions, origin: str
) -> None:
    assert await people(visit(sessions.make(), CHANGE, origin=origin))


async def test_a_page_of_another_site_signs_nobody_in(people: Check) -> None:
    assert await people(visit("", SIGN_IN)) == Passage()
    assert await people(visit("", SIGN_IN, origin="")) == Passage(), "no browser"
    error = await refusal(people, visit("", SIGN_IN, origin="http://evil.example.net"))
    assert error.reason == Reason.ORIGIN_NOT_ALLOWED


async def test_staff_pass_the_internal_listener_only(people: Check, sessions: KeptSessions) -> None:
    staff, customer = sessions.make(audience=Audience.STAFF), sessions.make()
    assert await people(visit(staff, STAFF, listener="internal"))
    assert (await refusal(people, visit(staff, STAFF))).reason == Reason.NOT_FOUND
    assert (await refusal(people, visit(staff, READ))).reason == Reason.AUDIENCE_NOT_ALLOWED
    error = await refusal(people, visit(customer, STAFF, listener="internal"))
    assert error.reason == Reason.AUDIENCE_NOT_ALLOWED


async def test_a_session_does_not_do_what_is_for_keys(
    people: Check, sessions: KeptSessions
) -> None:
    error = await refusal(people, visit(sessions.make(role=Role.OWNER), REBOOT))
    assert error.reason == Reason.AUDIENCE_NOT_ALLOWED


# --- Client certificates


async def test_a_noc_service_is_known_by_its_certificate_on_the_internal_listener_only(
    check: Check, keys: CountedRecords
) -> None:
    key = keys.make(audience=Audience.NOC, account="", capabilities=frozenset())
    name = "spiffe://f2hcloud/noc/billing"
    keys.certificates[name] = keys.records[key.id]
    shown = Attempt(path=NOC, listener="internal", key="", address="203.0.113.4", certificate=name)
    assert (await check(shown)).subject == key.id
    other = replace(shown, certificate="spiffe://f2hcloud/noc/other")
    assert (await refusal(check, other)).reason == Reason.CREDENTIAL_INVALID
    public = replace(shown, listener="public", path=KEYS)
    assert (await refusal(check, public)).reason == Reason.CREDENTIAL_MISSING


# --- Guessing, and peppers


async def test_who_guesses_is_slowed_down_and_nobody_else(
    keys: CountedRecords, clock: Time
) -> None:
    check = checking(keys, clock, failures_per_minute=3)
    key = keys.make()
    reasons = [(await refusal(check, attempt(generate()))).reason for _ in range(5)]
    assert reasons == [Reason.CREDENTIAL_INVALID] * 3 + [Reason.RATE_LIMITED] * 2
    assert await check(attempt(key)), "a right key passes from the same address"
    error = await refusal(check, attempt(other_secret(key)))
    assert error.reason == Reason.RATE_LIMITED
    assert error.retry_after_seconds
    elsewhere = await refusal(check, attempt(generate(), address="198.51.100.7"))
    assert elsewhere.reason == Reason.CREDENTIAL_INVALID


async def test_an_ipv6_host_does_not_escape_by_its_other_addresses(
    keys: CountedRecords, clock: Time
) -> None:
    check = checking(keys, clock, failures_per_minute=1)
    await refusal(check, attempt(generate(), address="2001:db8::1"))
    error = await refusal(check, attempt(generate(), address="2001:db8::2"))
    assert error.reason == Reason.RATE_LIMITED


async def test_a_key_that_is_used_moves_to_the_pepper_in_use(
    check: Check, keys: CountedRecords
) -> None:
    key = keys.make(pepper=1)
    keys.change(key, digest=DIGESTS.digest(key.secret, 1))
    assert await check(attempt(key))
    assert keys.records[key.id].pepper == 2
    assert await check(attempt(key))
    assert (await refusal(check, attempt(other_secret(key)))).reason == Reason.CREDENTIAL_INVALID


async def test_a_wrong_secret_moves_no_key_to_another_pepper(
    check: Check, keys: CountedRecords
) -> None:
    key = keys.make(pepper=1)
    keys.change(key, digest=DIGESTS.digest(key.secret, 1))
    await refusal(check, attempt(other_secret(key)))
    assert keys.records[key.id].pepper == 1
