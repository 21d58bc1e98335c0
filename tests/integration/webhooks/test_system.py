"""Webhooks through the real Envoy and the real services, and what a kill leaves of them."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.integration.conftest import ACCOUNT, Key, System, eventually, reason, running
from tests.integration.people import Browser, user
from tests.integration.webhooks.receiver import Receiver

TIMEOUT_SECONDS = 3

ALLOWED = {
    "F2H_SERVER_OPS_WEBHOOK_PRIVATE_NETWORKS": '["127.0.0.0/8"]',
    "F2H_SERVER_OPS_WEBHOOK_ALLOW_HTTP": "true",
    "F2H_SERVER_OPS_WEBHOOK_PORTS": "[]",
    # A claim lives for twice as long.
    "F2H_SERVER_OPS_WEBHOOK_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
    "F2H_SERVER_OPS_WEBHOOK_POLL_SECONDS": "0.1",
}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that may send to loopback."""
    with running(tmp_path_factory.mktemp("webhooks"), ALLOWED) as made:
        yield made


@dataclass
class Console:
    """A person who is signed in."""

    browser: Browser

    def call(self, verb: str, path: str, **body: Any) -> Any:
        """The answer, which is no refusal."""
        answer = self.refused(verb, path, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, verb: str, path: str, **body: Any) -> httpx.Response:
        headers = {"Origin": self.browser.origin}
        form = {"json": body} if verb in {"POST", "PATCH"} else {"params": body}
        return self.browser.client.request(verb, path, headers=headers, **form)  # type: ignore[arg-type]

    def webhook(self, url: str, **form: Any) -> tuple[str, str]:
        """The id and the secret of a new webhook."""
        types = ["OPERATION_CREATED", "OPERATION_SUCCEEDED", "OPERATION_FAILED"]
        made = self.call("POST", "/api/webhooks", **{"url": url, "event_types": types, **form})
        return made["webhook"]["id"], made["secret"]


def signed_in(system: System, role: str = "MEMBER") -> Iterator[Console]:
    with httpx.Client(base_url=system.stack.url, timeout=20) as client:
        browser = Browser(client, system.stack.url)
        assert browser.login(user(system, role)).status_code == 200
        yield Console(browser)


@pytest.fixture
def console(system: System) -> Iterator[Console]:
    for signed in signed_in(system):
        yield signed
        for webhook in signed.call("GET", "/api/webhooks")["webhooks"]:
            signed.call("DELETE", f"/api/webhooks/{webhook['id']}")


@pytest.fixture
def onlooker(system: System) -> Iterator[Console]:
    yield from signed_in(system, "READ_ONLY")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def rebooting(system: System) -> tuple[str, Key]:
    """The name of an operation that has begun, and a key to follow it."""
    server = system.server(system.bmc(boot_seconds=0.5))
    key = system.key(server)
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    return name, key


def test_a_reboot_is_told_from_beginning_to_end(
    system: System, console: Console, receiver: Receiver
) -> None:
    webhook, secret = console.webhook(receiver.url, label="pager")
    name, key = rebooting(system)
    assert system.finished(name, key)["metadata"]["state"] == "SUCCEEDED"
    eventually(lambda: len(receiver.messages) == 2)
    contents = [each.verified(secret) for each in receiver.messages]
    assert {each["type"]: each["data"]["state"] for each in contents} == {
        "operation.created": "PENDING",
        "operation.succeeded": "SUCCEEDED",
    }
    assert {each["data"]["operation"] for each in contents} == {name}

    def delivered() -> list[Any] | None:
        listed: list[Any] = console.call("GET", f"/api/webhooks/{webhook}/deliveries")["deliveries"]
        return listed if all(each["state"] == "DELIVERED" for each in listed) else None

    listed = eventually(delivered)
    assert [each["event_type"] for each in listed] == ["OPERATION_SUCCEEDED", "OPERATION_CREATED"]
    assert {each["event"] for each in listed} == {each.id for each in receiver.messages}


def test_what_happens_to_a_machine_by_itself_is_told(
    system: System, console: Console, receiver: Receiver
) -> None:
    types = ["SERVER_POWER_CHANGED", "SERVER_UNREACHABLE", "SERVER_REACHABLE"]
    _, secret = console.webhook(receiver.url, event_types=types)
    bmc = system.bmc()
    server = system.server(bmc)
    key = system.key(server, capabilities=["ipmi.status"])

    def look() -> dict[str, Any]:
        path = f"/api/servers/{server}/ipmi?max_age_seconds=0"
        told: dict[str, Any] = system.rest("GET", path, key).json()
        return told

    def told() -> list[tuple[str, str]]:
        contents = [each.verified(secret) for each in receiver.messages]
        return [
            (each["type"], each["data"]["power"])
            for each in contents
            if each["data"]["server"] == server
        ]

    assert look()["power"]["state"] == "ON"
    for power in ("OFF", "ON"):
        bmc.set_power(on=power == "ON")
        assert look()["power"]["state"] == power
    eventually(lambda: len(told()) == 2)
    assert sorted(told()) == [("server.power_changed", "OFF"), ("server.power_changed", "ON")]


def test_what_was_under_way_when_the_process_was_killed_is_delivered_after_its_restart(
    system: System, console: Console, receiver: Receiver
) -> None:
    _, secret = console.webhook(receiver.url)
    receiver.hangs = True
    name, key = rebooting(system)
    eventually(lambda: receiver.messages)
    process = system.stack.processes["server_ops"]
    os.kill(process.pid, signal.SIGKILL)
    process.stop()
    receiver.hangs = False
    first, before = receiver.messages[0], len(receiver.messages)
    system.stack.start_service("server_ops")
    state = system.finished(name, key)["metadata"]["state"]  # the kill may have failed it

    def told() -> bool:
        contents = [each.verified(secret) for each in receiver.messages]
        return state in {each["data"]["state"] for each in contents} and any(
            each.id == first.id for each in receiver.messages[before:]
        )

    eventually(told, 10 + 2 * TIMEOUT_SECONDS)
    [again] = [each for each in receiver.messages[before:] if each.id == first.id]
    assert again.verified(secret) == first.verified(secret)


def test_the_life_of_a_webhook(console: Console, receiver: Receiver) -> None:
    webhook, secret = console.webhook(receiver.url, label="pager")
    path = f"/api/webhooks/{webhook}"
    assert console.call("GET", path)["label"] == "pager"
    assert [each["id"] for each in console.call("GET", "/api/webhooks")["webhooks"]] == [webhook]
    for answer in (console.call("GET", path), console.call("GET", "/api/webhooks")):
        assert "whsec_" not in str(answer)

    tested = console.call("POST", f"{path}/test")
    assert (tested["delivered"], tested["status"]) == (True, 204)
    assert receiver.messages[-1].verified(secret)["type"] == "webhook.test"

    rotated = console.call("POST", f"{path}/rotate")
    assert rotated["webhook"]["old_secret_expire_time"]
    console.call("POST", f"{path}/test")
    for each in (secret, rotated["secret"]):
        receiver.messages[-1].verified(each)

    changed = console.call("PATCH", path, label="", update_mask="label")
    assert (changed["label"], changed["url"]) == ("", receiver.url)
    assert not console.call("PATCH", path, enabled=False)["enabled"]
    assert console.call("PATCH", path, enabled=True)["enabled"]
    receiver.statuses = [503]
    tested = console.call("POST", f"{path}/test")
    assert (tested["delivered"], tested["status"]) == (False, 503)

    console.call("DELETE", path)
    assert reason(console.refused("GET", path)) == "NOT_FOUND"
    assert console.call("GET", "/api/webhooks")["webhooks"] == []


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://user@example.com/"}, "url"),
        ({"url": ""}, "url"),
        ({"event_types": []}, "event_types"),
        ({"event_types": ["WEBHOOK_TEST"]}, "event_types[0]"),
        ({"account": "other"}, "account"),
    ],
)
def test_what_cannot_be_a_webhook(console: Console, form: dict[str, Any], field: str) -> None:
    body = {"url": "https://example.com/", "event_types": ["OPERATION_FAILED"], **form}
    answer = console.refused("POST", "/api/webhooks", **body)
    assert reason(answer) == "INVALID_REQUEST"
    assert field in answer.json()["message"]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"update_mask": "url"},
        {"update_mask": "enabled"},
        {"update_mask": "event_types"},
        {"label": "a", "update_mask": "enabled", "enabled": True},
        {"url": "http://10.0.0.1/"},
    ],
)
def test_what_cannot_become_of_a_webhook(
    console: Console, receiver: Receiver, change: dict[str, Any]
) -> None:
    webhook, _ = console.webhook(receiver.url)
    path = f"/api/webhooks/{webhook}"
    assert reason(console.refused("PATCH", path, **change)) == "INVALID_REQUEST"
    assert console.call("GET", path)["url"] == receiver.url


def test_who_may_only_look_changes_nothing_and_another_account_sees_nothing(
    system: System, console: Console, onlooker: Console, receiver: Receiver
) -> None:
    webhook, _ = console.webhook(receiver.url)
    path = f"/api/webhooks/{webhook}"
    calls = [
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/rotate"),
        ("POST", f"{path}/test"),
    ]
    assert onlooker.call("GET", path)["id"] == webhook
    for verb, where in calls:
        assert reason(onlooker.refused(verb, where)) == "ROLE_MISSING"
    system.account("other")
    with httpx.Client(base_url=system.stack.url, timeout=20) as client:
        browser = Browser(client, system.stack.url)
        assert browser.login(user(system, account="other")).status_code == 200
        stranger = Console(browser)
        assert stranger.call("GET", "/api/webhooks")["webhooks"] == []
        reads = [("GET", path), ("GET", f"{path}/deliveries")]
        for verb, where in (*calls[1:], *reads):
            assert reason(stranger.refused(verb, where)) == "NOT_FOUND"
        changed = stranger.refused("PATCH", path, label="mine")
        assert reason(changed) == "NOT_FOUND"
    assert receiver.messages == []


def test_staff_say_whose_webhooks_they_mean_on_the_internal_listener(
    system: System, console: Console, receiver: Receiver
) -> None:
    webhook, _ = console.webhook(receiver.url)
    system.account("noc", kind="NOC")
    email = user(system, "READ_ONLY", account="noc")
    with httpx.Client(base_url=system.stack.internal_url, verify=system.trust) as client:
        browser = Browser(client, system.stack.internal_url)
        assert browser.login(email).status_code == 200
        staff = Console(browser)
        listed = staff.call("GET", "/api/webhooks", account=ACCOUNT)["webhooks"]
        assert [each["id"] for each in listed] == [webhook]
        assert staff.call("GET", f"/api/webhooks/{webhook}")["account"] == ACCOUNT
        assert reason(staff.refused("GET", "/api/webhooks")) == "INVALID_REQUEST"
        assert reason(staff.refused("DELETE", f"/api/webhooks/{webhook}")) == "ROLE_MISSING"


def test_a_page_token_of_somebody_elses_making_is_refused(
    console: Console, receiver: Receiver
) -> None:
    first, _ = console.webhook(receiver.url)
    second, _ = console.webhook(receiver.url)
    page = console.call("GET", "/api/webhooks", page_size=1)
    assert [each["id"] for each in page["webhooks"]] == [second]
    token = page["next_page_token"]
    rest = console.call("GET", "/api/webhooks", page_size=1, page_token=token)
    assert [each["id"] for each in rest["webhooks"]] == [first]
    assert rest["next_page_token"] == ""
    refused = console.refused("GET", f"/api/webhooks/{first}/deliveries", page_token="bm90IG91cnM=")
    assert reason(refused) == "INVALID_REQUEST"


def test_the_secret_is_in_no_file_that_the_services_wrote(
    system: System, console: Console, receiver: Receiver
) -> None:
    token = "canary-in-a-url"
    webhook, secret = console.webhook(f"{receiver.url}&token={token}")
    console.call("POST", f"/api/webhooks/{webhook}/test")
    eventually(lambda: receiver.messages)
    run = system.stack.run
    written = [each for each in run.rglob("*") if each.is_file()]
    logs = [each for each in written if each.suffix == ".log"]
    assert logs
    for path in written:
        assert secret.removeprefix("whsec_").encode() not in path.read_bytes(), path
    for path in logs:
        assert token.encode() not in path.read_bytes(), path
