import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason
from hypothesis import given
from hypothesis import strategies as st

from services.auth.keys.key import ApiKey, NewKey, SecretDigest
from services.auth.store import MIGRATIONS
from services.auth.store.keys import SqlKeys
from services.auth.tokens.create import AUDIENCE, ISSUER, CreateToken, TokenForm, narrowed
from services.auth.tokens.signing import Signing
from services.runtime.access import Audience
from services.runtime.database import Database, migrate
from services.runtime.errors import ApiError
from services.runtime.policy import Policy
from services.runtime.principal import PrincipalVerifier
from services.runtime.quota import PerMinute
from tests.unit.auth.keys.test_update import KEY, NOW
from tests.unit.auth.rings import ring

SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OLD_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SIGNING = Signing(ring({1: OLD_KEY, 2: SIGNING_KEY}))
ALL = TokenForm((), (), 0)


@pytest.fixture(scope="module")
def database_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('tokens') / 'auth.db'}"
    migrate(url, MIGRATIONS)
    return url


@pytest.fixture
async def keys(database_file: str, tmp_path: Path) -> AsyncIterator[SqlKeys]:
    database = Database(database_file)
    yield SqlKeys(database)
    await database.close()


def caller(key: ApiKey) -> Principal:
    return Principal(audience=Audience.CUSTOMER, subject=key.id, account=key.account)


async def kept(keys: SqlKeys, number: int, **changes: object) -> ApiKey:
    key = replace(KEY, id=f"{number:016x}", **changes)  # type: ignore[arg-type]
    await keys.add(NewKey(key, SecretDigest(1, bytes(32))))
    if key.revoke_time:
        await keys.change(key.id, lambda found: replace(found, revoke_time=NOW))
    return key


def creating(keys: SqlKeys, per_minute: int = 100) -> CreateToken:
    return CreateToken(keys, SIGNING, PerMinute(per_minute), lambda: NOW)


def claims(token: str) -> dict[str, object]:
    return jwt.decode(
        token,
        SIGNING_KEY.public_key(),
        algorithms=["EdDSA"],
        issuer=ISSUER,
        audience=AUDIENCE,
        options={"verify_exp": False, "verify_iat": False},
    )


async def test_a_token_carries_a_principal_that_a_service_believes(keys: SqlKeys) -> None:
    key = await kept(keys, 1)
    token = await creating(keys)(caller(key), TokenForm(("server.reboot",), (), 60))
    said = claims(token.text)
    assert (said["sub"], said["exp"]) == (key.id, int(NOW.timestamp()) + 60)
    assert token.seconds == 60
    verifier = PrincipalVerifier({2: SIGNING_KEY.public_key()}, lambda: NOW)
    principal = verifier.verify(str(said["principal"]))
    assert (principal.audience, principal.subject) == (Audience.CUSTOMER, key.id)
    assert (principal.account, principal.token) == ("demo", True)
    assert principal.expire_seconds == said["exp"]
    policy = Policy(["server.reboot"], key.servers, key.cidrs)
    assert principal.policy_digest == policy.digest()
    assert await keys.policy(policy.digest()) == policy.encode()


async def test_the_newest_key_signs_and_every_key_is_published(keys: SqlKeys) -> None:
    token = await creating(keys)(caller(await kept(keys, 2)), ALL)
    header = jwt.get_unverified_header(token.text)
    assert (header["alg"], header["kid"]) == ("EdDSA", "2")
    published = SIGNING.public_keys()
    assert sorted(published) == ["1", "2"]
    raw = base64.urlsafe_b64decode(published[header["kid"]] + "=")
    assert Ed25519PublicKey.from_public_bytes(raw) == SIGNING_KEY.public_key()


async def test_a_token_ends_with_its_key(keys: SqlKeys) -> None:
    end = NOW + timedelta(seconds=90)
    token = await creating(keys)(caller(await kept(keys, 3, expire_time=end)), ALL)
    assert (token.seconds, token.expire_time) == (90, end)


@pytest.mark.parametrize(
    ("number", "changes", "reason"),
    [
        (4, {"revoke_time": NOW}, Reason.KEY_REVOKED),
        (5, {"expire_time": NOW}, Reason.KEY_EXPIRED),
    ],
)
async def test_a_key_that_ended_meanwhile_gets_no_token(
    keys: SqlKeys, number: int, changes: dict[str, object], reason: "Reason.ValueType"
) -> None:
    key = await kept(keys, number, **changes)
    with pytest.raises(ApiError) as refused:
        await creating(keys)(caller(key), ALL)
    assert refused.value.reason == reason


async def test_a_token_is_not_exchanged_for_another(keys: SqlKeys) -> None:
    principal = caller(await kept(keys, 6))
    principal.token = True
    with pytest.raises(ApiError) as refused:
        await creating(keys)(principal, ALL)
    assert refused.value.reason == Reason.AUDIENCE_NOT_ALLOWED


async def test_one_key_gets_so_many_tokens_a_minute_and_others_theirs(keys: SqlKeys) -> None:
    create = creating(keys, per_minute=2)
    busy, other = await kept(keys, 7), await kept(keys, 8)
    for _ in range(2):
        await create(caller(busy), ALL)
    with pytest.raises(ApiError) as refused:
        await create(caller(busy), ALL)
    assert refused.value.reason == Reason.RATE_LIMITED
    assert refused.value.retry_after_seconds
    await create(caller(other), ALL)


NAMES = st.sampled_from(["server.details", "server.reboot", "ptr.update"])
HOSTS = st.sampled_from(["ns1.example.net", "NS2.example.net", "ns3.example.net"])


@given(
    capabilities=st.lists(NAMES, unique=True).map(tuple),
    servers=st.lists(HOSTS, unique=True).map(tuple),
)
def test_a_token_never_has_more_than_its_key(
    capabilities: tuple[str, ...], servers: tuple[str, ...]
) -> None:
    policy = KEY.policy()
    try:
        token = narrowed(policy, TokenForm(capabilities, servers, 0))
    except ApiError as error:
        assert error.reason == Reason.INVALID_REQUEST
        assert {each.field for each in error.violations} <= {"capabilities", "servers"}
        return
    assert token.capabilities == (frozenset(capabilities) or policy.capabilities)
    assert token.servers == (frozenset(s.lower() for s in servers) or policy.servers)
    assert token.capabilities <= policy.capabilities
    assert token.servers <= policy.servers
    assert token.cidrs == policy.cidrs
