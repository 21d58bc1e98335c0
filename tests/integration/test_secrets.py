"""Promise 9: secrets are in no log, no error, no database in the clear, no process list."""

from pathlib import Path

import httpx
import pyotp
import pytest

from lab.ca import SERVICES
from tests.integration.conftest import ACCOUNT, System


@pytest.fixture(scope="module")
def system(own_system: System) -> System:
    """Its own."""
    return own_system


def test_no_secret_is_anywhere_that_a_run_wrote(system: System) -> None:
    bmc = system.bmc(password="canary-in-a-bmc")
    server = system.server(bmc)
    key = system.key(server)
    wrong = system.key(server, capabilities=["ipmi.status"])
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    system.finished(name, key)
    system.rest("POST", f"/api/servers/{server}/reboot", wrong)
    system.rest("GET", f"/api/servers?x={key.secret}", key)
    answer = system.rest("POST", "/api/auth/token", key, json={})
    token = str(answer.json()["access_token"])
    bearer = {"Authorization": f"Bearer {token}"}
    for sent in (bearer, {"Authorization": f"Bearer {token[:-4]}AAAA"}):
        system.rest("GET", f"/api/servers/{server}", headers=sent)
    person = _person(system)

    stack = system.stack
    files = [each for each in stack.secrets.iterdir() if "public_keys" not in each.name]
    private = [each for each in stack.run.rglob("*.key") if stack.secrets not in each.parents]
    assert {each.parent.name for each in private} == {"tls", "edge", *SERVICES}
    canaries = {
        "the key": key.secret.split(".")[2],
        "the refused key": wrong.secret.split(".")[2],
        "the BMC's password": bmc.password,
        "the token": token.rpartition(".")[2],
        **person,
        **{each.name: each.read_text().strip() for each in files},
        **{str(each): each.read_text().splitlines()[1] for each in private},
    }
    canaries["NOC key"] = stack.noc_key().split(".")[2]
    written = [
        each
        for each in stack.run.rglob("*")
        if each.is_file() and not {stack.secrets, stack.tls, stack.services_tls} & {*each.parents}
    ]
    assert [each for each in written if each.suffix == ".db"]
    assert [each for each in written if each.suffix == ".log"]
    for path in written:
        content = path.read_bytes()
        found = [name for name, canary in canaries.items() if canary.encode() in content]
        assert not found, f"{path} holds {found}"
    for process in stack.processes.values():
        for what in ("cmdline", "environ"):
            content = Path(f"/proc/{process.pid}/{what}").read_bytes()
            found = [name for name, canary in canaries.items() if canary.encode() in content]
            assert not found, f"{what} of {process.name} holds {found}"
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
    assert stack.secrets.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in private} == {0o600}


def _person(system: System) -> dict[str, str]:
    """What somebody has who signs in, with a second factor, and mistypes the password."""
    form = {"account": ACCOUNT, "email": "canary@example.net", "role": "OWNER"}
    made = system.noc("POST", "/api/noc/users", json=form).json()
    password = str(made["password"])
    login = {"email": form["email"], "password": password}
    with httpx.Client(
        base_url=system.stack.url, headers={"Origin": system.stack.url}, timeout=20
    ) as browser:
        browser.post("/api/auth/login", json={**login, "password": f"{password}x"})
        cookie = browser.post("/api/auth/login", json=login).headers["set-cookie"]
        body = {"password": password}
        secret = browser.post("/api/auth/second_factor", json=body).json()["secret"]
        code = {"code": pyotp.TOTP(secret).now()}
        codes = browser.post("/api/auth/second_factor/confirm", json=code).json()["recovery_codes"]
        browser.post("/api/auth/login", json={**login, "code": codes[0]})
    return {
        "the password": password,
        "the session": cookie.partition(";")[0].rpartition(".")[2],
        "the shared secret": secret,
        **{f"recovery code {number}": each for number, each in enumerate(codes)},
        **{f"recovery digits {n}": each.replace("-", "") for n, each in enumerate(codes)},
    }
