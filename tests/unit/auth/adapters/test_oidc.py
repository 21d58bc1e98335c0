"""The adapter against a provider that errs, forges and fails. For the real one see
tests/integration/oidc.
"""

import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from f2h.access.v1.reason_pb2 import Reason

from lab import ca
from services.auth.adapters.oidc import NoIdentityProvider, OidcProvider
from services.auth.sign_in.identity import Identity
from services.runtime.errors import ApiError
from services.runtime.sealing import Sealer
from tests.unit.auth.adapters.fake_provider import (
    DISCOVERY,
    Answer,
    Claims,
    FakeProvider,
    new_key,
    signed_with,
)

CLIENT = "the console"
SECRET = "50% of a secret: +"
REDIRECT_URL = "https://f2h.example.com/console/"
KEY = new_key("one")
STRANGE_KEY = new_key("one")


@dataclass
class Time:
    """A clock that is moved by hand."""

    now: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    @property
    def seconds(self) -> int:
        return int(self.now.timestamp())


@pytest.fixture
def time() -> Time:
    return Time()


def claims_at(time: Time) -> Claims:
    """What a provider vouches for, but for the nonce."""
    return {
        "sub": "ada",
        "aud": CLIENT,
        "exp": time.seconds + 300,
        "iat": time.seconds,
        "email": "Ada@Example.com",
        "email_verified": True,
    }


@pytest.fixture
def fake(time: Time) -> Iterator[FakeProvider]:
    with FakeProvider(KEY, claims_at(time)) as running:
        yield running


@asynccontextmanager
async def connected(
    fake: FakeProvider, time: Time, *, secret: str = SECRET, deadline_seconds: float = 10
) -> AsyncIterator[OidcProvider]:
    provider = OidcProvider(
        issuer=fake.issuer,
        client_id=CLIENT,
        client_secret=secret,
        redirect_url=REDIRECT_URL,
        sealer=Sealer({1: bytes(range(32))}),
        clock=time,
        deadline_seconds=deadline_seconds,
    )
    try:
        yield provider
    finally:
        await provider.close()


@pytest.fixture
async def provider(fake: FakeProvider, time: Time) -> AsyncIterator[OidcProvider]:
    async with connected(fake, time) as provider:
        yield provider


async def begin(provider: OidcProvider, fake: FakeProvider) -> tuple[str, str]:
    """Begins, and lets the fake vouch in this attempt; the attempt and its state."""
    url, attempt = await provider.begin()
    told = parameters(url)
    fake.claims.setdefault("nonce", told["nonce"])
    return attempt, told["state"]


async def sign_in(provider: OidcProvider, fake: FakeProvider) -> Identity:
    fake.claims.pop("nonce", None)
    attempt, state = await begin(provider, fake)
    return await provider.finish(attempt, "a code", state)


async def fails(call: Awaitable[object], reason: "Reason.ValueType") -> None:
    with pytest.raises(ApiError) as error:
        await call
    assert error.value.reason == reason
    # Whatever went wrong, its text is not told.
    assert error.value.message in {
        "Signing in with the OpenID Connect provider failed: begin again.",
        "The OpenID Connect provider does not answer.",
        "No OpenID Connect provider is set up here.",
    }
    assert error.value.metadata == {}


def parameters(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_the_browser_is_sent_with_a_challenge(
    provider: OidcProvider, fake: FakeProvider
) -> None:
    url, _ = await provider.begin()
    told = parameters(url)
    assert url.startswith(f"{fake.issuer}/authorize?")
    assert {name: told.pop(name) for name in ("state", "nonce", "code_challenge")}
    assert told == {
        "tenant": "a b",
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT_URL,
        "scope": "openid email",
        "code_challenge_method": "S256",
    }


async def test_no_two_attempts_are_alike(provider: OidcProvider) -> None:
    first, second = [parameters((await provider.begin())[0]) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
        assert len(first[name]) >= 43


async def test_the_attempt_tells_nothing(provider: OidcProvider) -> None:
    url, attempt = await provider.begin()
    content = base64.urlsafe_b64decode(attempt + "==")
    for name in ("state", "nonce"):
        assert parameters(url)[name].encode() not in content


async def test_the_code_is_exchanged_with_the_verifier_and_the_secret(
    provider: OidcProvider, fake: FakeProvider
) -> None:
    url, attempt = await provider.begin()
    told = parameters(url)
    fake.claims["nonce"] = told["nonce"]
    await provider.finish(attempt, "a code & more", told["state"])
    [asked] = fake.requests("/token")
    digest = hashlib.sha256(asked.form.pop("code_verifier").encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == told["code_challenge"]
    assert asked.form == {
        "grant_type": "authorization_code",
        "code": "a code & more",
        "redirect_uri": REDIRECT_URL,
    }
    scheme, credentials = asked.headers["authorization"].split()
    assert scheme == "Basic"
    assert base64.b64decode(credentials) == b"the+console:50%25+of+a+secret%3A+%2B"


async def test_a_public_client_only_names_itself(fake: FakeProvider, time: Time) -> None:
    async with connected(fake, time, secret="") as provider:
        await sign_in(provider, fake)
    [asked] = fake.requests("/token")
    assert "authorization" not in asked.headers
    assert asked.form["client_id"] == CLIENT
    assert "client_secret" not in asked.form


async def test_the_address_of_the_token_is_enough(
    provider: OidcProvider, fake: FakeProvider
) -> None:
    identity = await sign_in(provider, fake)
    assert identity == Identity(fake.issuer, "ada", "ada@example.com", email_verified=True)
    assert not fake.requests("/userinfo")


@pytest.mark.parametrize("verified", [False, None, "true", "false", 1, [True]])
async def test_only_what_is_literally_verified_is(
    provider: OidcProvider, fake: FakeProvider, verified: Any
) -> None:
    fake.claims["email_verified"] = verified
    assert not (await sign_in(provider, fake)).email_verified
    del fake.claims["email_verified"]
    assert not (await sign_in(provider, fake)).email_verified


async def test_an_address_that_the_token_lacks_is_asked_for(
    provider: OidcProvider, fake: FakeProvider
) -> None:
    del fake.claims["email"]
    # What is said to be verified is the address that it stands beside, and no other.
    fake.userinfo = {"sub": "ada", "email": "Other@Example.com"}
    identity = await sign_in(provider, fake)
    assert identity == Identity(fake.issuer, "ada", "other@example.com", email_verified=False)
    [asked] = fake.requests("/userinfo")
    assert asked.headers["authorization"] == "Bearer an access token"


@pytest.mark.parametrize("subject", [{"sub": "eve"}, {"sub": None}, {}], ids=str)
async def test_an_address_of_somebody_else_is_not_taken(
    provider: OidcProvider, fake: FakeProvider, subject: dict[str, Any]
) -> None:
    del fake.claims["email"]
    fake.userinfo = {"email": "ada@example.com", "email_verified": True, **subject}
    await fails(sign_in(provider, fake), Reason.SIGN_IN_FAILED)


@pytest.mark.parametrize("email", ["", None, 7, ["ada@example.com"]], ids=str)
async def test_an_address_may_be_nowhere(
    provider: OidcProvider, fake: FakeProvider, email: Any
) -> None:
    del fake.claims["email"]
    fake.userinfo = {"sub": "ada", "email": email}
    assert (await sign_in(provider, fake)).email == ""


async def test_a_provider_need_not_have_userinfo(
    provider: OidcProvider, fake: FakeProvider
) -> None:
    del fake.claims["email"]
    del fake.metadata["userinfo_endpoint"]
    assert (await sign_in(provider, fake)).email == ""


def unsigned(claims: Claims) -> str:
    return by_hand({"alg": "none", "kid": "one"}, claims, b"")


def signed_with_the_secret(claims: Claims) -> str:
    return by_hand({"alg": "HS256", "kid": "one"}, claims, SECRET.encode())


def signed_with_the_public_key(claims: Claims) -> str:
    return by_hand({"alg": "HS256", "kid": "one"}, claims, KEY.as_pem(private=False))


def by_hand(header: dict[str, str], claims: Claims, secret: bytes) -> str:
    """A token that no library makes."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims)]
    content = b".".join(part.rstrip(b"=") for part in parts)
    signature = hmac.digest(secret, content, "sha256") if secret else b""
    return (content + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    "sign",
    [
        signed_with(STRANGE_KEY),
        signed_with(new_key("nobody's")),
        unsigned,
        signed_with_the_secret,
        signed_with_the_public_key,
        lambda _: "",
        lambda _: "a.b.c",
    ],
    ids=[
        "strange key",
        "unknown key",
        "none",
        "the secret",
        "the public key",
        "nothing",
        "nonsense",
    ],
)
async def test_a_token_that_is_not_the_providers_is_refused(
    provider: OidcProvider, fake: FakeProvider, sign: Callable[[Claims], str]
) -> None:
    fake.sign = sign
    await fails(sign_in(provider, fake), Reason.SIGN_IN_FAILED)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://id.example.com"},
        {"aud": "another client"},
        {"aud": [CLIENT, "another client"]},
        {"azp": "another client"},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
    ],
    ids=str,
)
async def test_a_token_for_something_else_is_refused(
    provider: OidcProvider, fake: FakeProvider, changes: Claims
) -> None:
    attempt, state = await begin(provider, fake)
    fake.claims.update(changes)
    await fails(provider.finish(attempt, "a code", state), Reason.SIGN_IN_FAILED)


async def test_a_token_that_has_expired_is_refused(
    provider: OidcProvider, fake: FakeProvider, time: Time
) -> None:
    fake.claims["exp"] = time.seconds - 60
    await fails(sign_in(provider, fake), Reason.SIGN_IN_FAILED)


async def test_what_was_not_begun_here_does_not_reach_the_provider(
    provider: OidcProvider, fake: FakeProvider, time: Time
) -> None:
    attempt, state = await begin(provider, fake)
    await fails(provider.finish(attempt, "a code", "another"), Reason.SIGN_IN_FAILED)
    await fails(provider.finish(attempt[:-1], "a code", state), Reason.SIGN_IN_FAILED)
    # Sealed by us, for something else.
    other = Sealer({1: bytes(range(32))}).seal("second factor", b"{}")
    strange = base64.urlsafe_b64encode(other).decode()
    await fails(provider.finish(strange, "a code", state), Reason.SIGN_IN_FAILED)
    time.now += timedelta(minutes=10)
    await fails(provider.finish(attempt, "a code", state), Reason.SIGN_IN_FAILED)
    assert not fake.requests("/token")


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", 7, None], ids=str)
@pytest.mark.parametrize("status", [400, 401, 200])
async def test_what_the_provider_refuses_is_refused(
    provider: OidcProvider, fake: FakeProvider, status: int, error: Any
) -> None:
    content = {"error": error, "error_description": "a driver's text"}
    fake.answers["/token"] = Answer(content, status)
    await fails(sign_in(provider, fake), Reason.SIGN_IN_FAILED)


NONSENSE = {
    "a failure": Answer({"error": "server_error"}, 500),
    "a failure without text": Answer(b"", 503),
    "another failure": Answer(b"<html>a driver's text</html>", 404),
    "not now": Answer({"error": "slow_down"}, 429),
    "a page": Answer(b"<html></html>"),
    "no text": Answer(b"\xff\xfe\xff"),
    "nothing": Answer(b""),
    "null": Answer(None),
    "a list": Answer([]),
    "an empty object": Answer({}),
    "a token that is none": Answer({"id_token": 7}),
    "a time that is none": Answer({"id_token": "x", "expires_in": "soon"}),
    "compressed nonsense": Answer(b"x", headers={"content-encoding": "gzip"}),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token"])
async def test_a_provider_that_fails_is_unavailable(
    provider: OidcProvider, fake: FakeProvider, path: str, answer: Answer
) -> None:
    fake.answers[path] = answer
    await fails(sign_in(provider, fake), Reason.DEPENDENCY_UNAVAILABLE)
    # And only as long as it fails.
    del fake.answers[path]
    assert (await sign_in(provider, fake)).subject == "ada"


@pytest.mark.parametrize(
    "answer", [Answer(b"", 500), Answer(b"", 401), Answer(b"x.y.z"), Answer([])], ids=str
)
async def test_userinfo_that_fails_is_unavailable(
    provider: OidcProvider, fake: FakeProvider, answer: Answer
) -> None:
    del fake.claims["email"]
    fake.answers["/userinfo"] = answer
    await fails(sign_in(provider, fake), Reason.DEPENDENCY_UNAVAILABLE)


@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token", "/userinfo"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nobody_is_sent_elsewhere_with_a_secret(
    provider: OidcProvider, fake: FakeProvider, path: str, status: int
) -> None:
    del fake.claims["email"]
    fake.answers[path] = Answer(status=status, headers={"location": f"{fake.issuer}/elsewhere"})
    await fails(sign_in(provider, fake), Reason.DEPENDENCY_UNAVAILABLE)
    assert fake.requests(path)
    assert not fake.requests("/elsewhere")


async def test_a_provider_that_is_not_there_is_unavailable(time: Time) -> None:
    fake = FakeProvider(KEY, claims_at(time))
    async with connected(fake, time) as provider:
        with fake:
            attempt, state = await begin(provider, fake)
        await fails(provider.finish(attempt, "a code", state), Reason.DEPENDENCY_UNAVAILABLE)
    async with connected(fake, time) as provider:
        await fails(provider.begin(), Reason.DEPENDENCY_UNAVAILABLE)


async def test_a_provider_that_does_not_answer_is_not_waited_for(
    fake: FakeProvider, time: Time
) -> None:
    async with connected(fake, time, deadline_seconds=0.3) as provider:
        attempt, state = await begin(provider, fake)
        fake.stalled.set()
        await fails(provider.finish(attempt, "a code", state), Reason.DEPENDENCY_UNAVAILABLE)
    async with connected(fake, time, deadline_seconds=0.3) as provider:
        await fails(provider.begin(), Reason.DEPENDENCY_UNAVAILABLE)


async def test_the_metadata_of_another_issuer_are_refused(
    provider: OidcProvider, fake: FakeProvider
) -> None:
    fake.metadata["issuer"] += "/"
    await fails(provider.begin(), Reason.DEPENDENCY_UNAVAILABLE)


ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "url", ["http://id.example.com/x", "javascript:alert(1)", "//127.0.0.1/x", "https:///x"]
)
async def test_an_endpoint_that_could_be_impersonated_is_refused(
    provider: OidcProvider, fake: FakeProvider, endpoint: str, url: str
) -> None:
    fake.metadata[endpoint] = url
    await fails(provider.begin(), Reason.DEPENDENCY_UNAVAILABLE)


@pytest.mark.parametrize("endpoint", ENDPOINTS[:3])
async def test_an_endpoint_that_is_missing_is_nonsense(
    provider: OidcProvider, fake: FakeProvider, endpoint: str
) -> None:
    del fake.metadata[endpoint]
    await fails(provider.begin(), Reason.DEPENDENCY_UNAVAILABLE)


async def test_what_is_published_is_asked_for_once_an_hour(
    provider: OidcProvider, fake: FakeProvider, time: Time
) -> None:
    for times in (1, 2):
        fake.claims.update(exp=time.seconds + 300, iat=time.seconds)
        for _ in range(3):
            await sign_in(provider, fake)
        assert len(fake.requests(DISCOVERY)) == len(fake.requests("/jwks")) == times
        time.now += timedelta(hours=1)


async def test_a_new_key_is_asked_for_once(provider: OidcProvider, fake: FakeProvider) -> None:
    await sign_in(provider, fake)
    fake.key = new_key("two")
    fake.sign = signed_with(fake.key)
    await sign_in(provider, fake)
    assert len(fake.requests("/jwks")) == 2
    fake.sign = signed_with(new_key("three"))
    await fails(sign_in(provider, fake), Reason.SIGN_IN_FAILED)
    assert len(fake.requests("/jwks")) == 3


async def test_no_cookie_of_the_provider_is_kept(
    provider: OidcProvider, fake: FakeProvider
) -> None:
    fake.answers[DISCOVERY] = Answer(fake.metadata, headers={"set-cookie": "who=ada; path=/"})
    await sign_in(provider, fake)
    assert all("cookie" not in asked.headers for asked in fake.asked)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ca")
    ca.make(folder)
    return folder


@pytest.fixture
def fake_with_tls(certificates: Path, time: Time) -> Iterator[FakeProvider]:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificates / "internal.pem", certificates / "internal.key")
    with FakeProvider(KEY, claims_at(time), trust) as running:
        yield running


async def test_a_provider_with_a_certificate_is_believed(
    fake_with_tls: FakeProvider, certificates: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    async with connected(fake_with_tls, time) as provider:
        assert (await sign_in(provider, fake_with_tls)).issuer.startswith("https:")


async def test_a_certificate_that_nobody_vouches_for_is_not(
    fake_with_tls: FakeProvider, time: Time
) -> None:
    async with connected(fake_with_tls, time) as provider:
        await fails(provider.begin(), Reason.DEPENDENCY_UNAVAILABLE)
    assert not fake_with_tls.asked


async def test_with_https_no_endpoint_goes_without(
    fake_with_tls: FakeProvider, certificates: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    fake_with_tls.metadata["token_endpoint"] = "http://127.0.0.1:1/token"
    async with connected(fake_with_tls, time) as provider:
        await fails(provider.begin(), Reason.DEPENDENCY_UNAVAILABLE)


def made_for(issuer: str) -> OidcProvider:
    return OidcProvider(
        issuer=issuer,
        client_id=CLIENT,
        client_secret=SECRET,
        redirect_url=REDIRECT_URL,
        sealer=Sealer({1: bytes(32)}),
        clock=Time(),
    )


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1@id.example.com",
        "http://[::1",
        "ftp://127.0.0.1",
        "https://",
        "id.example.com",
        "",
    ],
)
def test_an_issuer_that_could_be_impersonated_is_refused(issuer: str) -> None:
    with pytest.raises(ValueError, match=r"^oidc_issuer: "):
        made_for(issuer)


@pytest.mark.parametrize(
    "issuer",
    ["https://id.example.com/realm", "http://127.0.0.1:9", "http://[::1]:9", "http://localhost"],
)
async def test_https_and_loopback_are_good_issuers(issuer: str) -> None:
    await made_for(issuer).close()


async def test_without_a_provider_nothing_is_set_up() -> None:
    nobody = NoIdentityProvider()
    await fails(nobody.begin(), Reason.NOT_SET_UP)
    await fails(nobody.finish("attempt", "code", "state"), Reason.NOT_SET_UP)
    await nobody.close()
