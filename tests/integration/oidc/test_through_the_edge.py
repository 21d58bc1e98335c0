"""Signing in with a real provider, through the real Envoy."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lab.stack import Ports, Stack
from tests.integration.conftest import reason
from tests.integration.oidc.provider import UNVERIFIED, Provider, sign_in

EMAIL = "ada@example.com"


@dataclass
class Console:
    """A running system that knows the provider, and a browser on its console."""

    stack: Stack
    provider: Provider
    browser: httpx.Client

    def post(self, path: str, **body: str) -> httpx.Response:
        return self.browser.post(path, json=body, headers={"Origin": self.stack.url})

    def login(self, email: str) -> httpx.Response:
        begun = self.post("/api/auth/oidc/begin")
        assert begun.status_code == 200, begun.text
        url, attempt = begun.json()["authorization_url"], begun.json()["attempt"]
        code, state = sign_in(url, self.provider.redirect_url, email)
        return self.post("/api/auth/oidc/login", attempt=attempt, code=code, state=state)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Provider]]:
    folder: Path = tmp_path_factory.mktemp("oidc")
    ports = Ports.free()
    redirect_url = f"http://127.0.0.1:{ports.public}/console/"
    with Provider(folder / "provider", redirect_url) as provider:
        settings = {
            "F2H_AUTH_OIDC_ISSUER": provider.issuer,
            "F2H_AUTH_OIDC_CLIENT_ID": provider.client_id,
            "F2H_AUTH_OIDC_CLIENT_SECRET": provider.client_secret,
        }
        with Stack(folder / "run", ports, settings) as stack:
            stack.account("acme")
            form = {"account": "acme", "email": EMAIL, "role": "OWNER"}
            assert stack.noc("POST", "/api/noc/users", json=form).is_success
            yield stack, provider


@pytest.fixture
def console(running: tuple[Stack, Provider]) -> Iterator[Console]:
    stack, provider = running
    with httpx.Client(base_url=stack.url, timeout=20) as browser:
        yield Console(stack, provider, browser)


def test_a_page_finds_out_that_one_may_sign_in_with_the_provider(console: Console) -> None:
    assert console.browser.get("/api/auth/options").json() == {"oidc": True}


def test_a_user_whom_the_provider_vouches_for_is_signed_in(console: Console) -> None:
    answer = console.login(EMAIL)
    assert answer.status_code == 200, answer.text
    assert "HttpOnly" in answer.headers["set-cookie"]
    me = console.browser.get("/api/auth/me")
    assert me.json()["user"]["email"] == EMAIL
    records = console.browser.get("/api/audit?method=LoginWithOidc").json()["records"]
    assert [each["outcome"] for each in records] == ["ACCEPTED"]


@pytest.mark.parametrize("email", ["nobody@example.com", f"ada{UNVERIFIED}"])
def test_somebody_who_is_no_user_here_is_not_let_in(console: Console, email: str) -> None:
    answer = console.login(email)
    assert (answer.status_code, reason(answer)) == (401, "SIGN_IN_FAILED")
    assert console.browser.get("/api/auth/me").status_code == 401


def test_what_was_made_up_is_refused(console: Console) -> None:
    answer = console.post("/api/auth/oidc/login", attempt="x", code="y", state="z")
    assert (answer.status_code, reason(answer)) == (401, "SIGN_IN_FAILED")


def test_a_provider_that_is_away_is_said_to_be(console: Console) -> None:
    begun = console.post("/api/auth/oidc/begin").json()
    code, state = sign_in(begun["authorization_url"], console.provider.redirect_url, EMAIL)
    console.provider.stop()
    try:
        answer = console.post(
            "/api/auth/oidc/login", attempt=begun["attempt"], code=code, state=state
        )
        assert (answer.status_code, reason(answer)) == (503, "DEPENDENCY_UNAVAILABLE")
    finally:
        console.provider.start()
