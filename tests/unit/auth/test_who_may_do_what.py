"""Random lives of keys against a simple model of who may do what.

Keys are created, narrowed, rotated, revoked, exchanged for tokens and left to expire; servers
change hands; time passes. After each step somebody tries something, through the real check, the
real layers of a service and its real servicer on a real database, and the model says how that must
end.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.access.v1 import principal_pb2
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import token_pb2
from f2h.server_ops.v1 import reboot_pb2, server_pb2
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from services.auth.check.check import Attempt, Check
from services.auth.check.failures import Failures
from services.auth.check.records import SessionRecord
from services.auth.keys.create import CreateKey, KeyForm
from services.auth.keys.expiry import Expiry
from services.auth.keys.key import Owned
from services.auth.keys.rotate import RotateKey
from services.auth.keys.secret import generate
from services.auth.keys.update import KeyChange, UpdateKey
from services.auth.keys.usage import Usage
from services.auth.store import MIGRATIONS
from services.auth.store.keys import SqlKeys
from services.auth.tokens.create import CreateToken, TokenForm
from services.auth.tokens.signing import Signing
from services.runtime.access import rules
from services.runtime.call import Caller, current_caller, server_not_granted
from services.runtime.database import Database, migrate
from services.runtime.errors import ApiError
from services.runtime.interceptors import Admit, Grant, Identify, Layers, validate
from services.runtime.policy import Policy, PolicyCache
from services.runtime.principal import HEADER, PrincipalVerifier
from services.runtime.quota import PerMinute
from services.server_ops.bmc.endpoint import Protocol
from services.server_ops.inventory.server import Server, ServerView
from services.server_ops.rpc.servers import ServerServicer
from tests.unit.auth.rings import digests, ring

STEPS = 10_000
"""How many steps a run has at least."""

CAPABILITIES = ("server.details", "server.reboot", "antihack.us_unblock")
SERVERS = ("ns1.example.net", "ns2.example.net", "ns3.example.net")
ACCOUNTS = ("acme", "demo")
NETWORKS = ("203.0.113.0/24", "2001:db8::/32")
ADDRESSES = ("203.0.113.4", "198.51.100.7", "2001:db8::1")
INSIDE = {("203.0.113.0/24", "203.0.113.4"), ("2001:db8::/32", "2001:db8::1")}

GET = "/f2h.server_ops.v1.ServerService/GetServer"
REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"
CREATE_TOKEN = "/f2h.auth.v1.TokenService/CreateToken"
NEEDS = {GET: "server.details", REBOOT: "server.reboot"}
REQUESTS = {GET: server_pb2.GetServerRequest, REBOOT: reboot_pb2.RebootServerRequest}

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

RULES = rules(server_pb2, reboot_pb2, token_pb2)

Result = TypeVar("Result")
steps_done = 0


@dataclass
class Credential:
    """What the model knows of a key or a token."""

    text: str = field(repr=False)
    id: str
    account: str
    capabilities: frozenset[str]
    servers: frozenset[str]
    cidrs: frozenset[str]
    create_time: datetime
    expire_time: datetime | None
    revoked: bool = False
    rotated: bool = False
    token: bool = False

    def active(self, now: datetime) -> bool:
        return not self.revoked and (self.expire_time is None or self.expire_time > now)


class Owners:
    """The inventory: whose a server is."""

    def __init__(self) -> None:
        self.owner = dict(zip(SERVERS, ("acme", "demo", "acme"), strict=True))

    async def owned(self, account: str, hostnames: list[str]) -> Owned:
        mine = {name for name, owner in self.owner.items() if owner == account}
        return Owned(frozenset(mine & {*hostnames}), len(mine))

    async def find(self, hostname: str) -> ServerView | None:
        owner = self.owner.get(hostname)
        if owner is None:
            return None
        server = Server(
            hostname=hostname,
            account=owner,
            ips=("203.0.113.9",),
            datacenter="EU-WEST-F2H",
            mac="0c:c4:7a:00:00:01",
            bmc_protocol=Protocol.IPMI,
            bmc_address="127.0.0.1",
            bmc_port=623,
            create_time=START,
        )
        return ServerView(server, "")


class NoSessions:
    async def record(self, _session_id: str) -> SessionRecord | None:
        return None

    async def touch(self, session_id: str, now: datetime) -> None:
        raise NotImplementedError


class Context:
    """As much of a call's context as the layers ask for."""

    def __init__(self, metadata: dict[str, str]) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._metadata.items())


async def account_exists(_account: str) -> bool:
    return True


class KeyLives(RuleBasedStateMachine):
    """One database, some keys, and what the model knows of them."""

    keys = Bundle("keys")
    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.owners = Owners()
        self.folder = TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name) / 'auth.db'}"
        migrate(url, MIGRATIONS)
        self.runner = asyncio.Runner()
        self.database = Database(url)
        self.kept = SqlKeys(self.database)
        clock = lambda: self.now  # noqa: E731
        peppers = digests({1: bytes(32)})
        signing = Signing(ring({1: SIGNING_KEY}))
        self.create = CreateKey(
            self.kept,
            self.owners,
            peppers,
            Expiry(longest=timedelta(days=30)),
            clock,
            account_exists=account_exists,
            generate=generate,
        )
        self.update = UpdateKey(self.kept, clock)
        self.rotate_key = RotateKey(
            self.kept, peppers, Expiry(longest=timedelta(days=30)), clock, generate=generate
        )
        self.create_token = CreateToken(self.kept, signing, PerMinute(100_000), clock)
        self.check = Check(
            RULES,
            self.kept,
            NoSessions(),
            digests=peppers,
            signer=signing,
            usage=Usage(self.kept, clock),
            failures=Failures(PerMinute(100_000)),
            clock=clock,
            idle=timedelta(minutes=30),
            origins=frozenset(),
            cache_size=100,
            cache_seconds=0,
        )

        async def policy(digest: bytes, _header: str) -> Policy:
            content = await self.kept.policy(digest)
            assert content is not None, "a principal names a policy that is not kept"
            return Policy.decode(principal_pb2.Policy.FromString(content))

        verifier = PrincipalVerifier({1: SIGNING_KEY.public_key()}, clock)
        layers = Layers(
            Identify(RULES, verifier, PolicyCache(policy)), Admit(RULES), validate, Grant(RULES)
        )
        servicer = ServerServicer(self.owners)  # type: ignore[arg-type]  # asked for one server only

        async def reboot(request: Any, _context: Any) -> str:
            """As the use case: whose the server is, is the inventory's to say."""
            view = await self.owners.find(request.hostname)
            if view is None or view.server.account != current_caller().account:
                raise server_not_granted(request.hostname)
            return "accepted"

        async def whoami(_request: Any, _context: Any) -> Caller:
            return current_caller()

        self.handlers: dict[str, Any] = {}
        inner: dict[str, Any] = {GET: servicer.GetServer, REBOOT: reboot, CREATE_TOKEN: whoami}
        for path, handler in inner.items():
            layered = handler
            for layer in reversed(layers.layers):
                layered = layer(path, layered)
            self.handlers[path] = layered

    def run_(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        self.run_(self.database.close())
        self.runner.close()
        self.folder.cleanup()

    # --- What happens

    @initialize(target=keys)
    def first_key(self) -> Credential:
        form = KeyForm("acme", "", ("ns1.example.net",), ("server.details",), (), None)
        return self._created(form, timedelta(days=30))

    @rule(
        target=keys,
        account=st.sampled_from(ACCOUNTS),
        capabilities=st.sets(st.sampled_from(CAPABILITIES), min_size=1),
        cidrs=st.sets(st.sampled_from(NETWORKS)),
        days=st.integers(1, 30),
    )
    def create_a_key(self, account: str, capabilities: set[str], cidrs: set[str], days: int) -> Any:
        mine = tuple(name for name, owner in self.owners.owner.items() if owner == account)
        if not mine:
            capabilities = {"antihack.us_unblock"}
        span = timedelta(days=days)
        form = KeyForm(account, "", mine, tuple(capabilities), tuple(cidrs), self.now + span)
        return self._created(form, span)

    def _created(self, form: KeyForm, span: timedelta) -> Credential:
        key, text = self.run_(self.create.for_customer(form))
        return Credential(
            str(text),
            key.id,
            form.account,
            frozenset(form.capabilities),
            frozenset(form.servers),
            frozenset(form.cidrs),
            self.now,
            self.now + span,
        )

    @rule(
        key=keys,
        capabilities=st.none() | st.sets(st.sampled_from(CAPABILITIES)),
        servers=st.none() | st.sets(st.sampled_from(SERVERS)),
        cidrs=st.none() | st.sets(st.sampled_from(NETWORKS)),
    )
    def change_a_key(
        self,
        key: Credential,
        capabilities: set[str] | None,
        servers: set[str] | None,
        cidrs: set[str] | None,
    ) -> None:
        change = KeyChange(
            capabilities=None if capabilities is None else tuple(capabilities),
            servers=None if servers is None else tuple(servers),
            cidrs=None if cidrs is None else tuple(cidrs),
        )
        after = replace(
            key,
            capabilities=key.capabilities if capabilities is None else frozenset(capabilities),
            servers=key.servers if servers is None else frozenset(servers),
            cidrs=key.cidrs if cidrs is None else frozenset(cidrs),
        )
        for_servers = after.capabilities - {"antihack.us_unblock"}
        allowed = (
            key.active(self.now)
            and after.capabilities <= key.capabilities
            and after.servers <= key.servers
            and bool(after.capabilities)
            and (bool(after.servers) or not for_servers)
        )
        done = self._happens(self.update(key.id, key.account, change))
        assert done == allowed
        if allowed:
            key.capabilities, key.servers = after.capabilities, after.servers
            key.cidrs = after.cidrs

    @rule(target=keys, key=keys, hours=st.sampled_from([0, 1, 24, 168]))
    def rotate_a_key(self, key: Credential, hours: int) -> Any:
        overlap = timedelta(hours=hours)
        allowed = key.active(self.now) and not key.rotated
        made: list[Any] = []

        async def rotated() -> None:
            made.append(await self.rotate_key(key.id, key.account, overlap))

        assert self._happens(rotated()) == allowed
        if not allowed:
            return key
        (new, text) = made[0]
        assert key.expire_time is not None
        lived = key.expire_time - key.create_time
        key.rotated = True
        if hours:
            key.expire_time = min(key.expire_time, self.now + overlap)
        else:
            key.revoked = True
        return replace(
            key,
            text=str(text),
            id=new.id,
            create_time=self.now,
            expire_time=self.now + min(lived, timedelta(days=30)),
            revoked=False,
            rotated=False,
        )

    @rule(key=keys)
    def revoke_a_key(self, key: Credential) -> None:
        def revoked(found: Any) -> Any:
            return replace(found, revoke_time=found.revoke_time or self.now)

        assert self.run_(self.kept.change(key.id, revoked)) is not None
        key.revoked = True

    @rule(
        target=tokens,
        key=keys,
        capabilities=st.sets(st.sampled_from(CAPABILITIES)),
        servers=st.sets(st.sampled_from(SERVERS)),
        address=st.sampled_from(ADDRESSES),
    )
    def exchange_a_key(
        self, key: Credential, capabilities: set[str], servers: set[str], address: str
    ) -> Any:
        form = TokenForm(tuple(capabilities), tuple(servers), 0)
        allowed = (
            self._usable(key, address)
            and capabilities <= key.capabilities
            and servers <= key.servers
        )
        made: list[Any] = []

        async def exchanged() -> None:
            passage = await self.check(self._attempt(key, CREATE_TOKEN, address))
            context = Context({HEADER: passage.principal, "x-f2h-client": address})
            caller = await self.handlers[CREATE_TOKEN](token_pb2.CreateTokenRequest(), context)
            made.append(await self.create_token(caller.principal, form))

        assert self._happens(exchanged()) == allowed
        if not allowed:
            nothing: frozenset[str] = frozenset()
            return Credential("", "", "", nothing, nothing, nothing, START, START)
        token = made[0]
        assert key.expire_time is not None
        return replace(
            key,
            text=_principal_in(token.text),
            capabilities=frozenset(capabilities) or key.capabilities,
            servers=frozenset(servers) or key.servers,
            expire_time=min(self.now + timedelta(seconds=300), key.expire_time),
            token=True,
        )

    @rule(token=consumes(tokens))
    def try_to_renew_a_token(self, token: Credential) -> None:
        if not token.text:
            return
        header = token.text

        async def renewed() -> None:
            principal = PrincipalVerifier(
                {1: SIGNING_KEY.public_key()}, lambda: START - timedelta(days=1)
            ).verify(header)
            await self.create_token(principal, TokenForm((), (), 0))

        assert not self._happens(renewed())

    @rule(server=st.sampled_from(SERVERS), account=st.sampled_from(ACCOUNTS))
    def move_a_server(self, server: str, account: str) -> None:
        self.owners.owner[server] = account

    @rule(minutes=st.sampled_from([1, 4, 60, 60 * 24, 60 * 24 * 10]))
    def let_time_pass(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    # --- What must hold

    @rule(
        key=keys | tokens,
        path=st.sampled_from(sorted(NEEDS)),
        server=st.sampled_from(SERVERS),
        address=st.sampled_from(ADDRESSES),
    )
    def try_something(self, key: Credential, path: str, server: str, address: str) -> None:
        if not key.text:
            return
        expected = self._expected(key, path, server, address)
        assert self._tried(key, path, server, address) == expected

    @invariant()
    def count(self) -> None:
        global steps_done  # noqa: PLW0603 - of all examples together
        steps_done += 1

    def _expected(  # noqa: PLR0911 - a table, in the order of what is looked at
        self, key: Credential, path: str, server: str, address: str
    ) -> str:
        """The model: why it is refused, or "" when it is done."""
        if key.token:
            if key.expire_time is None or key.expire_time <= self.now:
                return "PRINCIPAL_INVALID"
        elif key.revoked:
            return "KEY_REVOKED"
        elif not key.active(self.now):
            return "KEY_EXPIRED"
        if not _inside(key, address) and not key.token:
            return "ADDRESS_NOT_ALLOWED"
        if NEEDS[path] not in key.capabilities:
            return "CAPABILITY_MISSING"
        if not _inside(key, address):
            return "ADDRESS_NOT_ALLOWED"
        if server not in key.servers or self.owners.owner[server] != key.account:
            return "SERVER_NOT_GRANTED"
        return ""

    def _tried(self, key: Credential, path: str, server: str, address: str) -> str:
        """The system: why it is refused, or "" when it is done."""

        async def tried() -> None:
            header = key.text
            if not key.token:
                header = (await self.check(self._attempt(key, path, address))).principal
            context = Context({HEADER: header, "x-f2h-client": address})
            await self.handlers[path](REQUESTS[path](hostname=server), context)

        try:
            self.run_(tried())
        except ApiError as error:
            return Reason.Name(error.reason)
        return ""

    def _attempt(self, key: Credential, path: str, address: str) -> Attempt:
        return Attempt(path=path, listener="public", key=key.text, address=address)

    def _usable(self, key: Credential, address: str) -> bool:
        return key.active(self.now) and _inside(key, address)

    def _happens(self, coroutine: Coroutine[Any, Any, Any]) -> bool:
        try:
            self.run_(coroutine)
        except ApiError:
            return False
        return True


def _inside(key: Credential, address: str) -> bool:
    return not key.cidrs or any((cidr, address) in INSIDE for cidr in key.cidrs)


def _principal_in(token: str) -> str:
    """The principal that the edge takes out of a token whose signature it has verified."""
    claims = jwt.decode(
        token,
        SIGNING_KEY.public_key(),
        algorithms=["EdDSA"],
        audience="f2hcloud-api",
        options={"verify_exp": False, "verify_iat": False},
    )
    return str(claims["principal"])


def test_nobody_ever_may_more_or_less_than_the_model_says() -> None:
    run_state_machine_as_test(
        KeyLives,
        settings=settings(
            max_examples=60,
            stateful_step_count=400,
            deadline=None,
            suppress_health_check=[*HealthCheck],
        ),
    )
    print(f"{steps_done} steps")
    assert steps_done >= STEPS
