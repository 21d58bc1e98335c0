"""Guessing, through the real Envoy. In a system of its own: all of a test come from one address."""

import httpx
import pytest

from tests.integration.conftest import ACCOUNT, IN_THE_CLEAR, System, reason

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def system(own_system: System) -> System:
    """Its own."""
    return own_system


def login(system: System, email: str, password: str) -> httpx.Response:
    form = {"email": email, "password": password}
    return httpx.post(
        f"{system.stack.url}/api/auth/login", json=form, verify=IN_THE_CLEAR, timeout=20
    )


def test_guessing_passwords_is_slowed_down_alike_for_who_is_there_and_who_is_not(
    system: System,
) -> None:
    email = "somebody@example.net"
    form = {"account": ACCOUNT, "email": email, "role": "OWNER", "password": PASSWORD}
    assert system.noc("POST", "/api/noc/users", json=form).status_code == 200
    known = [login(system, email, "wrong password") for _ in range(6)]
    unknown = [login(system, "nobody@example.net", "wrong password") for _ in range(6)]
    for answers in (known, unknown):
        assert [reason(answer) for answer in answers[:5]] == ["SIGN_IN_FAILED"] * 5
        late = answers[5]
        assert (late.status_code, reason(late)) == (429, "RATE_LIMITED")
        assert int(late.headers["retry-after"]) >= 1
        assert [each for each in late.json()["details"] if "RetryInfo" in each["@type"]]


def test_guessing_keys_is_slowed_down_and_right_keys_still_pass(system: System) -> None:
    from services.auth.keys.secret import generate

    key = system.key(system.server(system.bmc()))
    wrong = [
        system.rest("GET", "/api/servers", headers={"X-API-Key": str(generate())})
        for _ in range(310)
    ]
    assert [reason(answer) for answer in wrong[:300]] == ["CREDENTIAL_INVALID"] * 300
    assert {reason(answer) for answer in wrong[300:]} == {"RATE_LIMITED"}
    assert {answer.headers["retry-after"] for answer in wrong[300:]} == {"60"}
    assert system.rest("GET", "/api/servers", key).status_code == 200
