"""Swagger UI at /docs, as a person uses it: with a real key, on a real server."""

import json
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from lab.ipmi_sim import IpmiSim
from tests.browser.conftest import DESK, PHONE, SECONDS, Seen, fits, watch
from tests.integration.conftest import ACCOUNT, System


def open_docs(browser: Browser, url: str, size: Any = DESK) -> tuple[Page, Seen]:
    page = browser.new_page(viewport=size)
    page.set_default_timeout(SECONDS * 1000)
    seen = watch(page)
    page.goto(f"{url}/docs")
    expect(reboot(page)).to_be_visible()
    return page, seen


def described(page: Page, summary: str) -> Locator:
    return page.locator(".opblock").filter(has_text=summary)


def reboot(page: Page) -> Locator:
    return described(page, "Customer Reboot Server")


def authorize(page: Page, secret: str) -> None:
    page.get_by_role("button", name="Authorize").click()
    expect(page.locator(".auth-container input").first).to_be_focused()
    # By keyboard: the field for the key is where one types at once.
    page.keyboard.type(secret)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove authorization")).to_be_visible()
    page.locator(".modal-ux .close-modal").click()


def unfold(operation: Locator) -> None:
    operation.locator(".opblock-summary-control").click()
    servers = operation.locator(".servers select option")
    expect(servers.first).to_have_text("/api - API base on this host")


def execute(operation: Locator) -> tuple[int, dict[str, Any]]:
    """Sends the call as it stands there; the status and the body that the page shows."""
    operation.get_by_role("button", name="Execute").click()
    shown = operation.locator(".live-responses-table tbody .response")
    expect(shown).to_be_visible()
    status = shown.locator(".response-col_status").inner_text()
    body = shown.locator(".highlight-code code").first.inner_text()
    return int(status.split()[0]), json.loads(body)


def execute_reboot(page: Page, hostname: str) -> tuple[int, dict[str, Any]]:
    unfold(reboot(page))
    reboot(page).get_by_placeholder("hostname").fill(hostname)
    return execute(reboot(page))


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_is_rebooted_from_the_page(
    system: System, bmc: IpmiSim, browser: Browser, host: str, size: Any
) -> None:
    hostname = system.server(bmc)
    key = system.key(hostname)
    url = f"http://{host}:{system.stack.ports.public}"
    page, seen = open_docs(browser, url, size)
    assert page.url == f"{url}/docs/"
    authorize(page, key.secret)
    status, operation = execute_reboot(page, hostname)
    assert status == 200, operation
    ended = system.finished(operation["name"], key)
    assert ended["metadata"]["state"] == "SUCCEEDED", ended
    assert (bmc.executed(), bmc.chassis_commands()) == (["reset"], 1)
    # curl, as it stands there, is the same call.
    snippet = reboot(page).locator(".request-snippets code").inner_text()
    assert f"{url}/api/servers/{hostname}/reboot" in snippet
    assert f"X-API-Key: {key.secret}" in snippet
    assert not seen.complaints
    assert seen.hosts() == {f"{host}:{system.stack.ports.public}"}
    assert fits(page)


def test_a_wrong_key_is_told_as_the_api_tells_it(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    hostname = system.server(bmc)
    page, seen = open_docs(browser, system.stack.url)
    authorize(page, "f2h.0000000000000000.wrong")
    status, error = execute_reboot(page, hostname)
    assert (status, error["code"]) == (401, 16)
    assert error["details"][0]["reason"] == "CREDENTIAL_INVALID"
    assert bmc.executed() == []
    # A browser says of every 401 that it was one.
    assert [each for each in seen.complaints if "401 (Unauthorized)" not in each] == []


def test_the_key_is_forgotten_with_the_page(system: System, bmc: IpmiSim, browser: Browser) -> None:
    key = system.key(system.server(bmc))
    page, seen = open_docs(browser, system.stack.url)
    authorize(page, key.secret)
    kept = page.evaluate("[document.cookie, {...localStorage}, {...sessionStorage}]")
    assert key.secret not in json.dumps(kept)
    page.reload()
    expect(reboot(page)).to_be_visible()
    page.get_by_role("button", name="Authorize").click()
    expect(page.locator(".auth-container").first).to_be_visible()
    assert page.get_by_role("button", name="Remove authorization").count() == 0
    assert not seen.complaints


def test_every_operation_is_on_this_host(system: System, browser: Browser) -> None:
    page, _ = open_docs(browser, system.stack.url)
    document = httpx.get(f"{system.stack.url}/openapi.json").json()
    operations = [each for path in document["paths"].values() for each in path.values()]
    expect(page.locator(".opblock")).to_have_count(len(operations))
    for operation in operations:
        assert operation["servers"][0] == {"url": "/api", "description": "API base on this host"}


def test_operations_are_found_and_linked_to(system: System, browser: Browser) -> None:
    page, seen = open_docs(browser, system.stack.url)
    everything = page.locator(".opblock").count()
    page.get_by_placeholder("Filter").fill("reboot")
    expect(page.locator(".opblock")).not_to_have_count(everything)
    expect(reboot(page)).to_be_visible()
    # With the keyboard alone.
    reboot(page).locator(".opblock-summary-control").focus()
    page.keyboard.press("Enter")
    expect(reboot(page).get_by_role("button", name="Execute")).to_be_visible()
    expect(page).to_have_url(f"{system.stack.url}/docs/#/Reboot/RebootServer")
    page.goto("about:blank")
    page.goto(f"{system.stack.url}/docs/#/Reboot/RebootServer")
    expect(reboot(page).get_by_role("button", name="Execute")).to_be_visible()
    assert not seen.complaints


def test_who_signs_in_on_the_page_needs_no_key(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    key = system.key(system.server(bmc))
    form = {"account": ACCOUNT, "email": "owner@example.net", "role": "OWNER"}
    password = system.noc("POST", "/api/noc/users", json=form).json()["password"]
    page, seen = open_docs(browser, system.stack.url)
    login, keys = described(page, "/auth/login"), described(page, "List API keys")
    unfold(login)
    login.locator("textarea").fill(json.dumps({"email": form["email"], "password": password}))
    status, answer = execute(login)
    assert status == 200, answer
    unfold(keys)
    status, answer = execute(keys)
    assert status == 200, answer
    assert key.id in {each["id"] for each in answer["keys"]}
    assert not seen.complaints
    # The session is the browser's own: a page could not set its cookie.
    page.get_by_role("button", name="Authorize").click()
    offered = page.locator(".auth-container h4 code")
    expect(offered).to_have_text(["ApiKey", "Bearer"])
