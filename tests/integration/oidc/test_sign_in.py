"""Signing in with a real provider."""

from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.auth.adapters.oidc import OidcProvider
from services.auth.sign_in.identity import Identity
from services.runtime.clock import system_clock
from services.runtime.errors import ApiError
from services.runtime.sealing import Sealer
from tests.integration.oidc.provider import UNVERIFIED, Provider, sign_in

REDIRECT_URL = "http://127.0.0.1:8000/console/"
SEALER = Sealer({1: bytes(range(32))})


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(tmp_path_factory.mktemp("provider"), REDIRECT_URL) as running:
        yield running


@dataclass
class Time:
    """The real time, moved."""

    later: timedelta = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.later


@pytest.fixture
def time() -> Time:
    return Time()


def client_of(provider: Provider, time: Time, *, secret: str | None = None) -> OidcProvider:
    return OidcProvider(
        issuer=provider.issuer,
        client_id=provider.client_id,
        client_secret=provider.client_secret if secret is None else secret,
        redirect_url=provider.redirect_url,
        sealer=SEALER,
        clock=time,
    )


@pytest.fixture
async def client(provider: Provider, time: Time) -> AsyncIterator[OidcProvider]:
    client = client_of(provider, time)
    yield client
    await client.close()


async def test_who_signs_in_at_the_provider_is_told_by_it(
    client: OidcProvider, provider: Provider
) -> None:
    url, attempt = await client.begin()
    code, state = sign_in(url, REDIRECT_URL, "Ada@Example.com")
    assert await client.finish(attempt, code, state) == Identity(
        provider.issuer, "Ada@Example.com", "ada@example.com", email_verified=True
    )


async def test_an_address_that_is_not_verified_is_not_said_to_be(client: OidcProvider) -> None:
    url, attempt = await client.begin()
    code, state = sign_in(url, REDIRECT_URL, f"ada{UNVERIFIED}")
    assert not (await client.finish(attempt, code, state)).email_verified


async def test_any_process_can_finish_what_another_began(
    client: OidcProvider, provider: Provider, time: Time
) -> None:
    url, attempt = await client.begin()
    code, state = sign_in(url, REDIRECT_URL, "ada@example.com")
    other = client_of(provider, time)
    assert (await other.finish(attempt, code, state)).email == "ada@example.com"
    await other.close()


async def test_a_code_works_once(client: OidcProvider) -> None:
    url, attempt = await client.begin()
    code, state = sign_in(url, REDIRECT_URL, "ada@example.com")
    await client.finish(attempt, code, state)
    await refused(client, attempt, code, state)


async def test_a_state_that_is_not_the_attempts_is_refused(client: OidcProvider) -> None:
    url, attempt = await client.begin()
    code, state = sign_in(url, REDIRECT_URL, "ada@example.com")
    for wrong in ("", "é", state[:-1], state + "A", state.swapcase()):
        await refused(client, attempt, code, wrong)
    await client.finish(attempt, code, state)


async def test_a_code_is_of_no_use_in_another_attempt(client: OidcProvider) -> None:
    url, _ = await client.begin()
    code, _ = sign_in(url, REDIRECT_URL, "ada@example.com")
    other_url, other_attempt = await client.begin()
    # The provider compares the verifier: the code of somebody else cannot be slipped in.
    await refused(client, other_attempt, code, told(other_url, "state"))


async def test_the_token_must_hold_the_nonce_of_the_attempt(client: OidcProvider) -> None:
    url, attempt = await client.begin()
    code, state = sign_in(changed(url, nonce="another"), REDIRECT_URL, "ada@example.com")
    await refused(client, attempt, code, state)


async def test_an_attempt_is_good_for_ten_minutes(client: OidcProvider, time: Time) -> None:
    url, attempt = await client.begin()
    code, state = sign_in(url, REDIRECT_URL, "ada@example.com")
    time.later = timedelta(minutes=10)
    await refused(client, attempt, code, state)
    time.later = timedelta()
    await client.finish(attempt, code, state)


async def test_an_attempt_that_was_tampered_with_is_refused(client: OidcProvider) -> None:
    url, attempt = await client.begin()
    code, state = sign_in(url, REDIRECT_URL, "ada@example.com")
    for place in range(0, len(attempt), 20):
        letter = "B" if attempt[place] == "A" else "A"
        await refused(client, attempt[:place] + letter + attempt[place + 1 :], code, state)
    for wrong in ("", "A", "é", "!", attempt[:-4], attempt + "AAAA", attempt + "\n"):
        await refused(client, wrong, code, state)
    await client.finish(attempt, code, state)


async def test_a_code_that_the_provider_did_not_give_is_refused(client: OidcProvider) -> None:
    url, attempt = await client.begin()
    for code in ("A", "é", "%", "%zz", "a&grant_type=client_credentials"):
        await refused(client, attempt, code, told(url, "state"))


async def test_a_client_whose_secret_is_wrong_is_refused(provider: Provider, time: Time) -> None:
    client = client_of(provider, time, secret="wrong")
    url, attempt = await client.begin()
    code, state = sign_in(url, REDIRECT_URL, "ada@example.com")
    await refused(client, attempt, code, state)
    await client.close()


async def test_a_provider_that_is_down_is_told_of_and_found_again(
    tmp_path: Path, time: Time
) -> None:
    provider = Provider(tmp_path / "provider", REDIRECT_URL)
    client = client_of(provider, time)
    await unavailable(client.begin())
    with provider:
        url, attempt = await client.begin()
        code, state = sign_in(url, REDIRECT_URL, "ada@example.com")
    await unavailable(client.finish(attempt, code, state))
    with provider:
        # It has forgotten what it gave before.
        await refused(client, attempt, code, state)
    await client.close()


async def test_a_new_key_of_the_provider_is_asked_for(tmp_path: Path, time: Time) -> None:
    provider = Provider(tmp_path / "provider", REDIRECT_URL)
    client = client_of(provider, time)
    for _ in range(2):
        with provider:  # its key is new each time
            url, attempt = await client.begin()
            code, state = sign_in(url, REDIRECT_URL, "ada@example.com")
            assert (await client.finish(attempt, code, state)).subject == "ada@example.com"
    await client.close()


async def refused(client: OidcProvider, attempt: str, code: str, state: str) -> None:
    with pytest.raises(ApiError) as error:
        await client.finish(attempt, code, state)
    assert error.value.reason == Reason.SIGN_IN_FAILED


async def unavailable(call: Awaitable[object]) -> None:
    with pytest.raises(ApiError) as error:
        await call
    assert error.value.reason == Reason.DEPENDENCY_UNAVAILABLE


def told(url: str, name: str) -> str:
    """A parameter of a URL."""
    return parse_qs(urlsplit(url).query)[name][0]


def changed(url: str, **parameters: str) -> str:
    """A URL with other values of these parameters."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return urlunsplit(parts._replace(query=urlencode({**query, **parameters})))
