"""People who sign in, through the real Envoy: the cookie, pages of other sites, roles, the NOC."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pyotp
import pytest

from lab.ipmi_sim import IpmiSim
from tests.integration.conftest import ACCOUNT, System, eventually, reason
from tests.integration.people import PASSWORD, Browser, browsing, signed_in, user


@pytest.fixture
def browser(system: System) -> Iterator[Browser]:
    with browsing(system) as made:
        yield made


@pytest.fixture
def other_browser(system: System) -> Iterator[Browser]:
    with browsing(system) as made:
        yield made


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    system: System, browser: Browser
) -> None:
    email = user(system)
    answer = browser.login(email)
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["email"] == email
    [cookie] = answer.headers.get_list("set-cookie")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    token = cookie.partition("=")[2].partition(";")[0]
    assert token not in answer.text
    me = browser.get("/api/auth/me").json()
    assert (me["user"]["email"], me["user"]["account"], me["user"]["role"]) == (
        email,
        ACCOUNT,
        "OWNER",
    )


def test_anybody_is_told_how_one_may_sign_in_here(system: System, browser: Browser) -> None:
    wrong = {"Cookie": "f2h_session=wrong", "X-API-Key": "wrong", "Origin": "http://evil.example"}
    for headers in ({}, wrong):
        answer = browser.client.get("/api/auth/options", headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"oidc": False})
    assert system.noc("GET", "/api/auth/options").json() == {"oidc": False}


def test_a_person_is_told_the_address_that_we_see_whatever_is_claimed(
    system: System, browser: Browser
) -> None:
    claims = dict.fromkeys(
        ("X-Forwarded-For", "X-Real-IP", "X-F2H-Client", "X-Envoy-External-Address"), "203.0.113.4"
    )
    claims["Forwarded"] = "for=203.0.113.4"
    form = {"email": user(system), "password": PASSWORD}
    answers = [
        browser.post("/api/auth/login", form, **claims),
        browser.client.get("/api/auth/me", headers=claims),
        browser.get("/api/auth/me"),
    ]
    assert [each.json()["address"] for each in answers] == ["127.0.0.1"] * 3


def test_signing_out_ends_the_session_and_everywhere_ends_all(
    system: System, browser: Browser, other_browser: Browser
) -> None:
    email = user(system)
    stolen = browser.login(email).headers["set-cookie"].partition(";")[0]
    assert browser.post("/api/auth/logout").status_code == 200
    late = httpx.get(f"{system.stack.url}/api/auth/me", headers={"Cookie": stolen})
    assert (late.status_code, reason(late)) == (401, "SESSION_INVALID")
    browser.login(email)
    other_browser.login(email)
    assert browser.post("/api/auth/logout", {"everywhere": True}).status_code == 200
    assert other_browser.get("/api/auth/me").status_code == 401


def test_a_person_makes_narrows_rotates_and_revokes_a_key(system: System, browser: Browser) -> None:
    bmc = system.bmc()
    first, second = system.server(bmc), system.server(bmc)
    browser.login(user(system, "MEMBER"))
    form = {"servers": [first, second], "capabilities": ["server.details", "server.reboot"]}
    made = browser.post("/api/keys", form)
    assert made.status_code == 200, made.text
    key = made.json()["key"]
    assert key["account"] == ACCOUNT
    assert {"NO_EXPIRY", "NO_CIDR"} <= {*key["warnings"]}
    headers = {"X-API-Key": made.json()["secret"]}
    url = f"{system.stack.url}/api/servers"
    assert httpx.get(f"{url}/{second}", headers=headers).status_code == 200

    path = f"/api/keys/{key['id']}"
    body = {"servers": [first], "label": "narrow"}
    changed = browser.client.patch(path, json=body, headers={"Origin": browser.origin})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["servers"], changed.json()["label"]) == ([first], "narrow")
    assert httpx.get(f"{url}/{second}", headers=headers).status_code == 403
    wider = {"capabilities": ["ptr.update"], "servers": [first, second]}
    refused = browser.client.patch(path, json=wider, headers={"Origin": browser.origin})
    assert (refused.status_code, reason(refused)) == (400, "INVALID_REQUEST")

    rotated = browser.post(f"{path}/rotate", {"overlap": "ONE_HOUR"})
    assert rotated.status_code == 200, rotated.text
    new = rotated.json()
    assert new["key"]["replaces"] == key["id"]
    for secret in (made.json()["secret"], new["secret"]):
        answer = httpx.get(f"{url}/{first}", headers={"X-API-Key": secret})
        assert answer.status_code == 200
    assert browser.post(f"{path}/rotate").status_code == 400

    gone = browser.client.delete(
        f"/api/keys/{new['key']['id']}", headers={"Origin": browser.origin}
    )
    assert gone.json()["state"] == "REVOKED"
    answer = httpx.get(f"{url}/{first}", headers={"X-API-Key": new["secret"]})
    assert (answer.status_code, reason(answer)) == (401, "KEY_REVOKED")

    def used() -> bool:
        shown = browser.get(path).json()
        calls = {each["capability"]: int(each["last_24_hours"]) for each in shown["calls"]}
        return bool(shown.get("last_used_at")) and calls.get("server.details", 0) >= 2

    eventually(used, 30)
    assert browser.get(path).json()["last_used_ip"] == "127.0.0.1"


def test_a_page_of_another_site_can_use_nobodys_session(system: System, browser: Browser) -> None:
    browser.login(user(system))
    form = {"capabilities": ["antihack.us_unblock"]}
    # A form of such a page can send the first without asking, its script the second.
    for kind, refused in (
        ("text/plain", (415, "UNSUPPORTED_MEDIA_TYPE")),
        (None, (403, "ORIGIN_NOT_ALLOWED")),
        ("application/json", (403, "ORIGIN_NOT_ALLOWED")),
    ):
        for origin in ("http://evil.example.net", "null", ""):
            headers = {"Origin": origin} if origin else {}
            headers |= {"Content-Type": kind} if kind else {}
            answer = browser.client.post("/api/keys", content=json.dumps(form), headers=headers)
            assert (answer.status_code, reason(answer)) == refused, (kind, origin)
    assert browser.post("/api/keys", form).status_code == 200
    foreign = browser.post(
        "/api/auth/login",
        {"email": "a@example.net", "password": "x"},
        Origin="http://evil.example.net",
    )
    assert reason(foreign) == "ORIGIN_NOT_ALLOWED"


def test_a_person_sees_and_touches_the_own_account_only(system: System, browser: Browser) -> None:
    system.account("other")
    bmc = system.bmc()
    ours, theirs = system.server(bmc), system.server(bmc, account="other")
    foreign = system.key(theirs, account="other")
    browser.login(user(system))
    assert browser.get(f"/api/servers/{ours}").status_code == 200
    for path in (f"/api/servers/{theirs}", "/api/servers/nobody.example.net"):
        answer = browser.get(path)
        assert (answer.status_code, reason(answer)) == (403, "SERVER_NOT_GRANTED")
    listed = browser.get("/api/servers?page_size=1000").json()["servers"]
    hostnames = {each["hostname"] for each in listed}
    assert ours in hostnames
    assert theirs not in hostnames
    assert browser.get(f"/api/keys/{foreign.id}").status_code == 404
    assert browser.get("/api/keys?account=other").status_code == 400
    for verb, path in (
        ("DELETE", f"/api/keys/{foreign.id}"),
        ("POST", f"/api/keys/{foreign.id}/rotate"),
        ("PATCH", f"/api/keys/{foreign.id}?label=mine"),
    ):
        answer = browser.client.request(
            verb, path, json={"label": "mine"}, headers={"Origin": browser.origin}
        )
        assert answer.status_code in {400, 404}, (verb, answer.text)
    assert system.rest("GET", f"/api/servers/{theirs}", foreign).status_code == 200
    taken = browser.post("/api/keys", {"servers": [theirs], "capabilities": ["server.reboot"]})
    assert (taken.status_code, reason(taken)) == (400, "INVALID_REQUEST")


def test_what_the_noc_does_to_a_key_is_in_the_trail_of_its_account(
    system: System, browser: Browser
) -> None:
    key = system.key(system.server(system.bmc()))
    assert system.noc("DELETE", f"/api/keys/{key.id}").status_code == 200
    browser.login(user(system))
    records = browser.get(f"/api/audit?resource={key.id}&method=RevokeKey").json()["records"]
    assert [(each["audience"], each["outcome"]) for each in records] == [("NOC", "ACCEPTED")]
    [made] = browser.get(f"/api/audit?resource={key.id}&method=CreateKey").json()["records"]
    assert made["sequence"] < records[0]["sequence"]


def test_roles_bound_what_a_person_does(system: System, browser: Browser) -> None:
    browser.login(user(system, "READ_ONLY"))
    assert browser.get("/api/keys").status_code == 200
    answer = browser.post("/api/keys", {"capabilities": ["antihack.us_unblock"]})
    assert (answer.status_code, reason(answer)) == (403, "ROLE_MISSING")


def test_a_person_reboots_a_server_and_is_named_in_the_trail(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    browser.login(user(system, "MEMBER"))
    me = browser.get("/api/auth/me").json()["user"]["id"]
    path = f"/api/servers/{server}/reboot"
    begun = browser.post(path, {"mode": "HARD"}, **{"Idempotency-Key": "console-1"})
    assert begun.status_code == 200, begun.text
    name = begun.json()["name"]
    again = browser.post(path, {"mode": "HARD"}, **{"Idempotency-Key": "console-1"})
    assert again.json()["name"] == name

    def ended() -> Any:
        operation = browser.get(f"/api/{name}/wait").json()
        return operation if operation["done"] else None

    operation = eventually(ended, 40)
    assert "response" in operation
    assert operation["metadata"]["requester"] == {"audience": "SESSION", "subject": me}
    assert bmc.executed() == ["reset"]
    answer = browser.get(f"/api/audit?resource={server}&method=RebootServer")
    told = [
        (each["audience"], each["subject"], each["outcome"], each["operation"], each["address"])
        for each in answer.json()["records"]
    ]
    assert told == [("SESSION", me, "ACCEPTED", name, "127.0.0.1")] * 2
    assert [each["details"] for each in answer.json()["records"]] == [{"mode": "HARD"}] * 2


def test_colleagues_are_told_who_a_key_or_a_person_is_and_keys_are_not(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=["server.reboot", "server.details"], label="nightly job")
    email = user(system, "READ_ONLY")
    me = browser.login(email).json()["user"]["id"]
    answer = browser.get(f"/api/principals?ids={key.id}&ids={me}&ids={'0' * 16}")
    assert sorted(answer.json()["names"], key=lambda each: str(each["name"])) == [
        {"id": key.id, "audience": "CUSTOMER", "name": "nightly job"},
        {"id": me, "audience": "SESSION", "name": email},
    ]
    system.account("strangers")
    with signed_in(system, account="strangers") as stranger:
        assert stranger.get(f"/api/principals?ids={key.id}&ids={me}").json() == {"names": []}
    refused = system.rest("GET", f"/api/principals?ids={me}", key)
    assert (refused.status_code, reason(refused)) == (403, "AUDIENCE_NOT_ALLOWED")
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    [shown] = browser.get(f"/api/servers/{server}/operations").json()["operations"]
    assert shown["name"] == name
    assert shown["metadata"]["requester"] == {"audience": "CUSTOMER", "subject": key.id}
    system.finished(name, key)


def test_no_attempt_of_a_person_stays_unrecorded(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    me = browser.login(user(system, "READ_ONLY")).json()["user"]["id"]
    assert reason(browser.post(f"/api/servers/{server}/rescue/password")) == "ROLE_MISSING"
    with signed_in(system, "OWNER") as owner:
        answer = owner.get(f"/api/audit?subject={me}&method=ReadRescuePassword")
    told = [
        (each["audience"], each["outcome"], each["reason"]) for each in answer.json()["records"]
    ]
    assert told == [("SESSION", "REFUSED", "ROLE_MISSING")]


def test_a_request_id_is_of_one_person_or_key_alone(
    system: System, browser: Browser, other_browser: Browser
) -> None:
    first, second, third = (system.server(system.bmc()) for _ in range(3))
    named = {"Idempotency-Key": "the-same"}
    browser.login(user(system, "MEMBER"))
    other_browser.login(user(system, "OWNER"))
    key = system.key(first, second, third)
    answers = [
        browser.post(f"/api/servers/{first}/reboot", **named),
        other_browser.post(f"/api/servers/{second}/reboot", **named),
        system.rest("POST", f"/api/servers/{third}/reboot", key, headers=named),
    ]
    assert [each.status_code for each in answers] == [200] * 3, [each.text for each in answers]
    names = [each.json()["name"] for each in answers]
    assert len({*names}) == 3
    busy = other_browser.post(f"/api/servers/{first}/reboot", **named)
    assert (busy.status_code, reason(busy)) == (409, "REQUEST_ID_REUSED")
    for name in names:
        system.finished(name, key)


def test_a_person_calls_back_what_a_key_began_and_who_only_looks_does_not(
    system: System, browser: Browser, other_browser: Browser
) -> None:
    bmc = system.bmc()
    server = system.server(bmc)
    bmc.stop()
    browser.login(user(system, "READ_ONLY"))
    other_browser.login(user(system, "MEMBER"))
    begun = system.rest("POST", f"/api/servers/{server}/reboot", system.key(server)).json()["name"]
    assert reason(browser.post(f"/api/{begun}/cancel")) == "ROLE_MISSING"
    cancelled = other_browser.post(f"/api/{begun}/cancel")
    assert cancelled.status_code == 200, cancelled.text
    assert cancelled.json()["metadata"]["state"] == "CANCELLED"
    assert bmc.executed() == []


def test_a_serial_console_is_for_keys(system: System, browser: Browser) -> None:
    server = system.server(system.bmc())
    browser.login(user(system))
    answer = browser.get(f"/api/servers/{server}/console")
    assert (answer.status_code, reason(answer)) == (403, "AUDIENCE_NOT_ALLOWED")


def test_staff_sign_in_on_the_internal_listener_only(system: System, browser: Browser) -> None:
    system.account("noc", kind="NOC")
    email = user(system, account="noc")
    refused = browser.login(email)
    assert (refused.status_code, reason(refused)) == (401, "SIGN_IN_FAILED")
    with httpx.Client(base_url=system.stack.internal_url, verify=system.trust) as client:
        inside = Browser(client, system.stack.internal_url)
        assert inside.login(email).status_code == 200
        assert inside.get("/api/noc/accounts").status_code == 200
        assert inside.get(f"/api/keys?account={ACCOUNT}").status_code == 200
        customer = user(system)
        assert reason(inside.login(customer)) == "SIGN_IN_FAILED"
        cookies = "; ".join(f"{each.name}={each.value}" for each in client.cookies.jar)
    outside = httpx.get(f"{system.stack.url}/api/keys", headers={"Cookie": cookies})
    assert (outside.status_code, reason(outside)) == (403, "AUDIENCE_NOT_ALLOWED")


def test_a_second_factor_is_asked_for_and_no_code_is_good_twice(
    system: System, browser: Browser, other_browser: Browser
) -> None:
    email = user(system)
    browser.login(email)
    begun = browser.post("/api/auth/second_factor", {"password": PASSWORD})
    assert begun.status_code == 200, begun.text
    totp = pyotp.TOTP(begun.json()["secret"])
    code = totp.now()
    confirmed = browser.post("/api/auth/second_factor/confirm", {"code": code})
    assert confirmed.status_code == 200, confirmed.text
    recovery = confirmed.json()["recovery_codes"]
    assert len({*recovery}) == 10
    assert reason(other_browser.login(email)) == "SECOND_FACTOR_REQUIRED"
    assert reason(other_browser.login(email, code=code)) == "SIGN_IN_FAILED"
    assert other_browser.login(email, code=recovery[0]).status_code == 200
    assert reason(other_browser.login(email, code=recovery[0])) == "SIGN_IN_FAILED"
