"""The one place that constructs auth."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import ModuleType
from urllib.parse import urlsplit

import grpc.aio
from f2h.access.v1.principal_pb2 import Policy as PolicyMessage
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import (
    account_pb2,
    account_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    capability_pb2,
    capability_pb2_grpc,
    key_pb2,
    key_pb2_grpc,
    mcp_pb2,
    mcp_pb2_grpc,
    policy_pb2,
    policy_pb2_grpc,
    principal_pb2,
    principal_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)
from f2h.edge.v1 import authorization_pb2_grpc
from f2h.security.v1 import antihack_pb2, antispam_pb2, gateway_pb2, spam_block_pb2
from f2h.server_ops.v1 import (
    console_pb2,
    image_pb2,
    install_pb2,
    inventory_pb2,
    ip_pb2,
    ipmi_pb2,
    monitoring_pb2,
    network_pb2,
    operation_pb2,
    power_pb2,
    ptr_pb2,
    reboot_pb2,
    rescue_pb2,
    router_pb2,
    server_pb2,
    template_pb2,
    webhook_pb2,
)

from services.auth.accounts.manage import ManageAccounts, ManageUsers
from services.auth.adapters.inventory import GrpcInventory
from services.auth.adapters.oidc import NoIdentityProvider, OidcProvider
from services.auth.agents.tools import Tools
from services.auth.audit.recorder import TrailRecorder
from services.auth.audit.refusals import Refusals
from services.auth.check.check import Check
from services.auth.check.failures import Failures
from services.auth.keys.create import CreateKey
from services.auth.keys.digests import Digests
from services.auth.keys.expiry import Expiry
from services.auth.keys.key import Inventory
from services.auth.keys.ring import KeyRing
from services.auth.keys.rotate import RotateKey
from services.auth.keys.secret import SESSION_PREFIX, KeyText, generate
from services.auth.keys.update import UpdateKey
from services.auth.keys.usage import Usage
from services.auth.metrics import AuthMetrics
from services.auth.rpc.accounts import AccountServicer
from services.auth.rpc.audit import AuditServicer
from services.auth.rpc.authorization import AuthorizationServicer
from services.auth.rpc.capabilities import CapabilityServicer
from services.auth.rpc.keys import KeyServicer, UseCases
from services.auth.rpc.mcp import McpServicer
from services.auth.rpc.policies import PolicyServicer
from services.auth.rpc.principals import PrincipalServicer
from services.auth.rpc.sessions import SessionServicer
from services.auth.rpc.tokens import TokenServicer
from services.auth.rpc.users import UserServicer
from services.auth.sessions.session import BeginSession, EndSessions
from services.auth.settings import AuthSettings
from services.auth.sign_in.passwords import Passwords
from services.auth.sign_in.second_factor import SecondFactor
from services.auth.sign_in.sign_in import OwnUser, SignIn
from services.auth.sign_in.throttle import Throttle
from services.auth.store.accounts import SqlAccounts
from services.auth.store.audit import SqlTrail
from services.auth.store.keys import SqlKeys
from services.auth.store.principal_names import SqlPrincipalNames
from services.auth.store.sessions import SqlSessions
from services.auth.store.sign_in_throttle import SqlFailures
from services.auth.store.users import SqlUsers
from services.auth.tokens.create import CreateToken
from services.auth.tokens.signing import Signing
from services.runtime import mutual_tls, server
from services.runtime.accept import Accept
from services.runtime.access import rules
from services.runtime.audit import Audit
from services.runtime.background import Job, repeated
from services.runtime.clock import Clock, system_clock
from services.runtime.database import Database
from services.runtime.errors import ApiError
from services.runtime.interceptors import Admit, Grant, Identify, Layers, report, validate
from services.runtime.observing import Observe
from services.runtime.outgoing import followed
from services.runtime.policy import Policy, PolicyCache
from services.runtime.quota import PerMinute
from services.runtime.sealing import Sealer

OWN: tuple[ModuleType, ...] = (
    account_pb2,
    audit_pb2,
    capability_pb2,
    key_pb2,
    mcp_pb2,
    policy_pb2,
    principal_pb2,
    session_pb2,
    token_pb2,
    user_pb2,
)
CHECKED = (
    *OWN,
    antihack_pb2,
    antispam_pb2,
    console_pb2,
    gateway_pb2,
    image_pb2,
    install_pb2,
    inventory_pb2,
    ip_pb2,
    ipmi_pb2,
    monitoring_pb2,
    network_pb2,
    operation_pb2,
    power_pb2,
    ptr_pb2,
    reboot_pb2,
    rescue_pb2,
    router_pb2,
    server_pb2,
    spam_block_pb2,
    template_pb2,
    webhook_pb2,
)
"""Everything that can pass the edge. What is missing here cannot be called."""

SERVICES = tuple(
    service.full_name for module in OWN for service in module.DESCRIPTOR.services_by_name.values()
)

OPEN = frozenset({"/envoy.service.auth.v3.Authorization/Check"})
"""What the edge itself asks."""

CALLED_BY: Mapping[str, frozenset[str]] = {
    "server_ops": frozenset(
        {
            "/f2h.auth.v1.AuditService/RecordAttempt",
            "/f2h.auth.v1.AuditService/RecordOutcome",
            "/f2h.auth.v1.PolicyService/GetPolicy",
            "/f2h.auth.v1.PrincipalService/RenewPrincipal",
        }
    ),
    "security": frozenset(
        {
            "/f2h.auth.v1.AuditService/RecordAttempt",
            "/f2h.auth.v1.AuditService/RecordOutcome",
            "/f2h.auth.v1.PolicyService/GetPolicy",
        }
    ),
}
"""What the other services call."""

FLUSH_SECONDS = 5.0
"""After how long counted uses of keys are written down."""

TIDY_SECONDS = 3600.0
"""After how long what nobody asks for any more is removed."""

REFUSALS_PER_MINUTE = 60
"""How many refusals without a right credential are recorded of one address."""


@dataclass(frozen=True)
class Stores:
    """Where everything is kept."""

    keys: SqlKeys
    accounts: SqlAccounts
    users: SqlUsers
    names: SqlPrincipalNames
    sessions: SqlSessions
    failures: SqlFailures
    trail: SqlTrail

    @classmethod
    def on(cls, database: Database, clock: Clock) -> "Stores":
        """All of them in one database."""
        return cls(
            SqlKeys(database),
            SqlAccounts(database),
            SqlUsers(database),
            SqlPrincipalNames(database),
            SqlSessions(database),
            SqlFailures(database),
            SqlTrail(database, clock),
        )

    async def tidy(self, clock: Clock) -> None:
        """Removes what nobody asks for any more."""
        now = clock()
        await self.keys.forget_old(now)
        await self.sessions.forget_old(now)
        await self.failures.forget_old(now)


@dataclass(frozen=True)
class Auth:
    """The parts of a built service that its commands and tests use."""

    server: grpc.aio.Server
    metrics: AuthMetrics
    stores: Stores
    create_key: CreateKey
    accounts: ManageAccounts
    users: ManageUsers


@asynccontextmanager
async def build(
    settings: AuthSettings,
    clock: Clock = system_clock,
    inventory: Inventory | None = None,
    new_key_text: Callable[[], KeyText] = generate,
) -> AsyncIterator[Auth]:
    """The service, everything behind it started; all of it is closed at the end."""
    database = Database(settings.database_url)
    metrics = AuthMetrics(database)
    stores = Stores.on(database, clock)
    sealer = Sealer(settings.sealing_keys)
    digests = Digests(KeyRing(settings.dated_peppers(), clock))
    signing = Signing(KeyRing(settings.private_keys(), clock))
    server_ops = mutual_tls.channel(settings.tls, "server_ops", settings.server_ops)
    inventory = inventory or GrpcInventory(followed(server_ops), signing, clock)
    idle = timedelta(seconds=settings.session_idle_seconds)
    secure = settings.public_url.startswith("https:")
    checked, own = rules(*CHECKED), rules(*OWN)

    usage = Usage(stores.keys, clock)
    check = Check(
        checked,
        stores.keys,
        stores.sessions,
        digests=digests,
        signer=signing,
        usage=usage,
        failures=Failures(PerMinute(settings.failures_per_minute)),
        clock=clock,
        idle=idle,
        origins=frozenset({_origin(settings.public_url)}),
        secure=secure,
        cache_size=settings.key_cache_size,
        cache_seconds=settings.key_cache_seconds,
    )
    refusals = Refusals(checked, check, stores.trail, PerMinute(REFUSALS_PER_MINUTE))

    expiry = Expiry(_days(settings.key_default_days), _days(settings.key_max_days))
    create_key = CreateKey(
        stores.keys,
        inventory,
        digests,
        expiry,
        clock,
        account_exists=stores.accounts.exists,
        generate=new_key_text,
    )
    use_keys = UseCases(
        create_key,
        UpdateKey(stores.keys, clock),
        RotateKey(stores.keys, digests, expiry, clock, generate=new_key_text),
        stores.keys,
        inventory,
    )
    create_token = CreateToken(stores.keys, signing, PerMinute(settings.tokens_per_minute), clock)

    people = _people(
        settings, stores, digests, sealer, forget_session=check.forget_session, clock=clock
    )

    recorder = metrics.recording(TrailRecorder(stores.trail))
    audit = Audit(own, recorder)
    identify = Identify(own, settings.verifier(clock), _policies(stores.keys), open_paths=OPEN)
    accept = Accept(own, CALLED_BY, open_paths=OPEN, tls=settings.tls is not None)
    admit = Admit(own, open_paths=OPEN)
    layers = Layers(
        *(report, accept, identify, audit, admit, validate, Grant(own)),
        observe=Observe(metrics.rpcs, own),
    )

    def add_services(to: grpc.aio.Server) -> None:
        account_pb2_grpc.add_AccountServiceServicer_to_server(
            AccountServicer(people.accounts, stores.accounts), to
        )
        audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(stores.trail, recorder), to)
        authorization_pb2_grpc.add_AuthorizationServicer_to_server(
            AuthorizationServicer(check, refusals, metrics.checked, secure=secure), to
        )
        capability_pb2_grpc.add_CapabilityServiceServicer_to_server(CapabilityServicer(), to)
        key_pb2_grpc.add_KeyServiceServicer_to_server(
            KeyServicer(use_keys, check.forget_key, clock), to
        )
        mcp_pb2_grpc.add_McpServiceServicer_to_server(McpServicer(Tools.generated(checked)), to)
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(PolicyServicer(stores.keys), to)
        principal_pb2_grpc.add_PrincipalServiceServicer_to_server(
            PrincipalServicer(check, stores.names), to
        )
        session_pb2_grpc.add_SessionServiceServicer_to_server(
            SessionServicer(
                people.sign_in,
                people.own_user,
                stores.users,
                stores.sessions,
                people.end_sessions,
                idle=idle,
                secure=secure,
                oidc=bool(settings.oidc_issuer),
            ),
            to,
        )
        token_pb2_grpc.add_TokenServiceServicer_to_server(TokenServicer(create_token, signing), to)
        user_pb2_grpc.add_UserServiceServicer_to_server(
            UserServicer(people.users, stores.users), to
        )

    jobs: dict[float, Job] = {FLUSH_SECONDS: usage.flush, TIDY_SECONDS: partial(stores.tidy, clock)}
    try:
        async with repeated(*jobs.items(), ran=metrics.ran):
            built = server.build(layers, add_services)
            yield Auth(built, metrics, stores, create_key, people.accounts, people.users)
            await audit.settle()
    finally:
        await people.provider.close()
        await server_ops.close(None)
        await database.close()


def _policies(keys: SqlKeys) -> PolicyCache:
    async def policy(digest: bytes, _header: str) -> Policy:
        content = await keys.policy(digest)
        if content is None:
            raise ApiError(Reason.INTERNAL, "A policy is missing.")
        return Policy.decode(PolicyMessage.FromString(content))

    return PolicyCache(policy)


@dataclass(frozen=True)
class _People:
    """What is about people who sign in."""

    accounts: ManageAccounts
    users: ManageUsers
    sign_in: SignIn
    own_user: OwnUser
    end_sessions: EndSessions
    provider: OidcProvider | NoIdentityProvider


def _people(
    settings: AuthSettings,
    stores: Stores,
    digests: Digests,
    sealer: Sealer,
    *,
    forget_session: Callable[[str], None],
    clock: Clock,
) -> _People:
    passwords = Passwords()
    throttle = Throttle(stores.failures, clock)
    second_factor = SecondFactor(stores.users, sealer, digests, clock)
    end_sessions = EndSessions(stores.sessions, forget_session)
    provider = _identity_provider(settings, sealer, clock)
    begin_session = BeginSession(
        stores.sessions,
        digests,
        clock,
        longest=timedelta(seconds=settings.session_seconds),
        generate=partial(generate, SESSION_PREFIX),
    )
    return _People(
        ManageAccounts(stores.accounts, clock),
        ManageUsers(stores.accounts, stores.users, passwords, end_sessions, clock),
        SignIn(
            stores.users,
            passwords=passwords,
            throttle=throttle,
            second_factor=second_factor,
            provider=provider,
            begin=begin_session,
            trail=stores.trail,
        ),
        OwnUser(stores.users, passwords, throttle, second_factor, end_sessions),
        end_sessions,
        provider,
    )


def _identity_provider(
    settings: AuthSettings, sealer: Sealer, clock: Clock
) -> OidcProvider | NoIdentityProvider:
    if not settings.oidc_issuer:
        return NoIdentityProvider()
    return OidcProvider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        redirect_url=settings.redirect_url(),
        sealer=sealer,
        clock=clock,
    )


def _days(count: int) -> timedelta | None:
    return timedelta(days=count) if count else None


def _origin(url: str) -> str:
    """The origin (RFC 6454) of pages at a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
