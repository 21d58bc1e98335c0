"""Anti-spam through the edge: a real mail gate over SSH, a real blocklist, real connections."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.ipmi_sim import IpmiSim
from lab.ports import HOST
from lab.rbldnsd import Rbldnsd
from tests.integration.antispam.conftest import GATEWAY, OTHERS, PRIVATE, SENDERS, SMTP, World
from tests.integration.conftest import Key, System, eventually, reason, running

SERVER, NEIGHBOUR = "mail.antispam.example.net", "other.antispam.example.net"
WAIT_SECONDS = 4.0

BOTH = ("antispam.status", "antispam.unblock")


@dataclass
class Mail:
    """A system that blocks port 25, and a key for the server that sends mail."""

    system: System
    world: World
    zone: Rbldnsd
    bmc: IpmiSim
    key: Key

    def status(self, key: Key | None = None) -> dict[str, dict[str, Any]]:
        """What is told of each address of the server."""
        path = f"/api/servers/{SERVER}/antispam"
        answer = self.system.rest("GET", path, key or self.key)
        assert answer.status_code == 200, answer.text
        return {each["ip"]: each for each in answer.json()["addresses"]}

    def block(self, ip: str, text: str = "Spam was seen.") -> dict[str, Any]:
        """Blocks an address, as the NOC does it, and the gate does it.

        A gate that is slow to let us in says so, and is told again: that is no second block.
        """
        path = f"/api/noc/antispam/blocks/{ip}"
        blocked: dict[str, Any] = {}

        def seen() -> bool:
            answer = self.system.noc("PUT", path, json={"reason": text})
            assert answer.status_code == 200, answer.text
            blocked.update(answer.json())
            [gate] = blocked["gates"]
            assert gate.get("blocks") or gate["trouble"], blocked
            return bool(gate.get("blocks"))

        eventually(seen, 30)
        return blocked

    def lift(self, ip: str, **form: Any) -> httpx.Response:
        """Lifts a block, as the NOC does it."""
        return self.system.noc("POST", f"/api/noc/antispam/blocks/{ip}/lift", json=form)

    def forgotten(self, ip: str) -> bool:
        """Whether nothing is known of an address any more, after it was tried."""
        answer = self.lift(ip, forget=True)
        return answer.is_success or reason(answer) == "IP_NOT_BLOCKED"

    def unblock(self, ip: str, key: Key | None = None) -> httpx.Response:
        path = f"/api/servers/{SERVER}/antispam/unblock"
        return self.system.rest("POST", path, key or self.key, json={"ip": ip})

    def waited(self, ip: str) -> httpx.Response:
        """The answer to an unblock when its wait is over."""

        def answered() -> httpx.Response | None:
            answer = self.unblock(ip)
            too_early = not answer.is_success and reason(answer) == "UNBLOCK_TOO_EARLY"
            return None if too_early else answer

        answer: httpx.Response = eventually(answered, 10 * WAIT_SECONDS)
        return answer


@pytest.fixture(scope="module")
def stage(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mail]:
    folder = tmp_path_factory.mktemp("antispam")
    with ExitStack() as exits:
        zone = exits.enter_context(Rbldnsd(folder / "zone", ttl_seconds=1, negative_ttl_seconds=1))
        settings = {
            "F2H_SECURITY_SSH_KEY": PRIVATE,
            "F2H_SECURITY_DNSBL_ZONE": zone.zone,
            "F2H_SECURITY_DNSBL_RESOLVER": f"{HOST}:{zone.port}",
            "F2H_SECURITY_UNBLOCK_WAIT_SECONDS": str(WAIT_SECONDS),
            "F2H_SECURITY_GATE_SECONDS": "4",
            "F2H_SECURITY_GATE_CHECK_SECONDS": "1",
            "F2H_SECURITY_SWEEP_SECONDS": "1",
            "F2H_SECURITY_BLOCK_LISTS": '["CSS"]',
        }
        system = exits.enter_context(running(folder, settings))
        bmc = system.bmc()
        put(system, bmc, SERVER, [SENDERS[4], SENDERS[6]])
        put(system, bmc, NEIGHBOUR, [OTHERS[4], OTHERS[6]])
        login = {"address": GATEWAY, "port": world.sshd.port, "user": "root"}
        gateway = {
            "region": "EU",
            "networks": ["192.0.2.0/24", "2001:db8:1::/64"],
            "ssh": {**login, "host_key": world.sshd.host_key},
            "mail_gate": True,
        }
        assert system.noc("PUT", "/api/noc/gateways/gate1", json=gateway).is_success
        key = system.key(SERVER, capabilities=BOTH)
        yield Mail(system, world, zone, bmc, key)


def put(system: System, bmc: IpmiSim, hostname: str, ips: list[str], account: str = "acme") -> None:
    form = {
        "account": account,
        "ips": ips,
        "datacenter": "EU-WEST-F2H",
        "mac": "0c:c4:7a:00:00:01",
        "bmc_address": "127.0.0.1",
        "bmc_port": bmc.port,
        "bmc_username": bmc.username,
        "bmc_password": bmc.password,
    }
    assert system.noc("PUT", f"/api/noc/servers/{hostname}", json=form).is_success


@pytest.fixture
def mail(stage: Mail) -> Iterator[Mail]:
    """Nothing is blocked or remembered."""
    yield stage
    for ip in (*SENDERS.values(), *OTHERS.values()):
        # What is being unblocked is so in a moment.
        eventually(partial(stage.forgotten, ip))


@pytest.fixture
def zone(mail: Mail) -> Iterator[Rbldnsd]:
    """Nothing is listed before and after."""
    yield mail.zone
    mail.zone.hold({})
    eventually(lambda: {each["listed"] for each in mail.status().values()} == {"CLEAN"})


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_a_block_is_lifted_by_its_customer_and_connections_show_it(
    mail: Mail, version: int
) -> None:
    ip = SENDERS[version]
    assert mail.world.reach(ip, SMTP) == "220 here"
    mail.block(ip, "Phishing.")
    assert mail.world.reach(ip, SMTP) == "ConnectionRefusedError"
    told = mail.status()[ip]
    assert (told["state"], told["reason"], told["times_before"]) == (
        "BLOCKED_FOR_SPAM",
        "Phishing.",
        0,
    )
    assert float(told["unblock_after"].removesuffix("s")) <= WAIT_SECONDS

    refused = mail.unblock(ip)
    assert reason(refused) == "UNBLOCK_TOO_EARLY"
    assert 1 <= int(refused.headers["retry-after"]) <= WAIT_SECONDS
    assert mail.world.reach(ip, SMTP) == "ConnectionRefusedError"

    accepted = mail.waited(ip).json()
    assert accepted["metadata"]["kind"] == "ANTISPAM_UNBLOCK"
    ended = mail.system.finished(accepted["name"], mail.key)
    assert ended["response"]["ip"] == ip
    assert ended["metadata"]["state"] == "SUCCEEDED"
    assert mail.status()[ip]["state"] == "UNBLOCKED"
    assert mail.world.reach(ip, SMTP) == "220 here"
    assert reason(mail.unblock(ip)) == "IP_NOT_BLOCKED"


def test_each_repeat_doubles_the_wait(mail: Mail) -> None:
    ip = SENDERS[4]
    for times in range(3):
        blocked = mail.block(ip)
        since, until = (
            datetime.fromisoformat(blocked[name]) for name in ("blocked_since", "unblock_time")
        )
        assert (until - since).total_seconds() == WAIT_SECONDS * 2**times
        assert mail.status()[ip]["times_before"] == times
        assert mail.lift(ip).status_code == 200
    assert mail.world.reach(ip, SMTP) == "220 here"


def test_listings_are_told_and_hinder_but_for_the_pbl(mail: Mail, zone: Rbldnsd) -> None:
    ip = SENDERS[4]
    mail.block(ip)
    zone.hold({ip: ["127.0.0.2", "127.0.0.4", "127.0.0.10"]})
    eventually(lambda: mail.status()[ip]["listed"] == "LISTED", 20)
    told = mail.status()[ip]["listings"]
    assert {each["list"] for each in told} == {"SBL", "XBL", "PBL"}
    assert all(each["link"].startswith("https://") and ip in each["link"] for each in told)
    refused = mail.waited(ip)
    assert reason(refused) == "IP_LISTED"
    assert "SBL" in refused.text
    assert "PBL" not in refused.text

    zone.hold({ip: ["127.0.0.10"]})
    eventually(lambda: mail.waited(ip).is_success, 20)
    eventually(lambda: mail.status()[ip]["state"] == "UNBLOCKED")


def test_what_the_resolver_refuses_is_unknown_and_does_not_unblock(
    mail: Mail, zone: Rbldnsd
) -> None:
    ip = SENDERS[4]
    mail.block(ip)
    zone.refuse()
    eventually(lambda: mail.status()[ip]["listed"] == "UNKNOWN", 20)
    told = mail.status()[ip]
    assert told["unknown_reason"]
    assert told["listings"] == []
    assert told["state"] == "BLOCKED_FOR_SPAM"
    refused = mail.waited(ip)
    assert (refused.status_code, reason(refused)) == (503, "DEPENDENCY_UNAVAILABLE")


def test_a_gate_that_lost_its_blocks_has_them_again(mail: Mail) -> None:
    mail.block(SENDERS[4])
    mail.world.nft("flush", "ruleset")
    assert mail.world.reach(SENDERS[4], SMTP) == "220 here"
    eventually(lambda: mail.world.reach(SENDERS[4], SMTP) == "ConnectionRefusedError")


def test_a_gate_out_of_reach_ends_the_operation_and_the_block_stays(mail: Mail) -> None:
    ip = SENDERS[4]
    mail.block(ip)
    eventually(lambda: "unblock_after" not in mail.status()[ip], 10)
    mail.world.namespaces.run(mail.world.gateway, "ip", "link", "set", "noc", "down")
    try:
        accepted = mail.unblock(ip).json()
        busy = mail.unblock(ip)
        assert reason(busy) == "IP_BUSY"
        assert accepted["name"] in busy.text
        assert mail.status()[ip]["state"] == "UNBLOCKING"
        ended = mail.system.finished(accepted["name"], mail.key)
    finally:
        mail.world.namespaces.run(mail.world.gateway, "ip", "link", "set", "noc", "up")
    assert reason_of(ended) == "MAIL_GATE_FAILED"
    assert ended["metadata"]["fault"] == "PROVIDER"
    assert mail.status()[ip]["state"] == "BLOCKED_FOR_SPAM"
    assert mail.world.reach(ip, SMTP) == "ConnectionRefusedError"


def test_an_unblocking_goes_on_after_the_service_was_killed(mail: Mail) -> None:
    ip = SENDERS[4]
    mail.block(ip)
    eventually(lambda: "unblock_after" not in mail.status()[ip], 10)
    accepted = mail.unblock(ip).json()
    stack = mail.system.stack
    stack.processes["security"].kill()
    stack.start_service("security")
    eventually(lambda: mail.system.rest("GET", f"/api/{accepted['name']}", mail.key).is_success)
    ended = mail.system.finished(accepted["name"], mail.key)
    # Killed for longer than the patience, it may have ended the other way; it has ended.
    assert ended["metadata"]["state"] in {"SUCCEEDED", "FAILED"}
    wanted = "220 here" if "response" in ended else "ConnectionRefusedError"
    assert mail.world.reach(ip, SMTP) == wanted


def test_the_sweep_blocks_by_the_operators_rule_and_the_trail_says_so(
    mail: Mail, zone: Rbldnsd
) -> None:
    ip = SENDERS[4]
    zone.hold({ip: ["127.0.0.3"]})
    eventually(lambda: mail.status()[ip]["state"] == "BLOCKED_FOR_SPAM", 30)
    assert "CSS" in mail.status()[ip]["reason"]
    eventually(lambda: mail.world.reach(ip, SMTP) == "ConnectionRefusedError")

    def recorded() -> bool:
        trail = mail.system.noc("GET", "/api/audit", params={"account": "acme", "resource": ip})
        record = next(each for each in trail.json()["records"] if each["audience"] == "SERVICE")
        return (record["subject"], record["outcome"]) == ("security", "ACCEPTED")

    eventually(recorded)


def test_the_noc_sees_blocks_and_lifts_them_whatever_hinders(mail: Mail) -> None:
    blocked = mail.block(SENDERS[4], "Complaint 17.")
    listed = mail.system.noc("GET", "/api/noc/antispam/blocks").json()["blocks"]
    assert [(each["ip"], each["reason"], each["times"]) for each in listed] == [
        (SENDERS[4], "Complaint 17.", 1)
    ]
    assert blocked["blocked_by"]
    lifted = mail.lift(SENDERS[4]).json()
    assert (lifted["state"], lifted["gates"][0]["blocks"]) == ("UNBLOCKED", False)
    assert mail.world.reach(SENDERS[4], SMTP) == "220 here"
    assert reason(mail.lift(SENDERS[4])) == "IP_NOT_BLOCKED"
    nowhere = mail.system.noc("PUT", "/api/noc/antispam/blocks/198.51.100.77", json={"reason": "x"})
    assert nowhere.status_code == 404
    unsaid = mail.system.noc("PUT", f"/api/noc/antispam/blocks/{SENDERS[4]}", json={})
    assert reason(unsaid) == "INVALID_REQUEST"


def test_another_servers_address_and_another_accounts_operation_are_refused(mail: Mail) -> None:
    mail.block(OTHERS[4])
    assert reason(mail.unblock(OTHERS[4])) == "SERVER_NOT_GRANTED"
    assert mail.world.reach(OTHERS[4], SMTP) == "ConnectionRefusedError"

    mail.block(SENDERS[4])
    name = mail.waited(SENDERS[4]).json()["name"]
    neighbour = mail.system.key(NEIGHBOUR, capabilities=BOTH)
    mail.system.account("stranger")
    put(mail.system, mail.bmc, "s.antispam.example.net", ["198.51.100.99"], "stranger")
    stranger = mail.system.key("s.antispam.example.net", account="stranger", capabilities=BOTH)
    for key in (neighbour, stranger):
        seen = mail.system.rest("GET", f"/api/{name}", key)
        assert (seen.status_code, reason(seen)) == (404, "NOT_FOUND")
    mail.system.finished(name, mail.key)


@pytest.mark.parametrize(
    "ip", ["1.2.3.4/0", "0x7f.1", "192.0.2.2\n", "192.0.2.2; nft flush ruleset", "fe80::1%eth0", ""]
)
def test_what_is_no_address_is_refused_and_named(mail: Mail, ip: str) -> None:
    refused = mail.unblock(ip)
    assert (refused.status_code, reason(refused)) == (400, "INVALID_REQUEST")
    assert "ip" in refused.json()["message"]


def test_an_address_in_another_form_is_the_same_address(mail: Mail) -> None:
    mail.block(SENDERS[4])
    assert mail.waited(f"::ffff:{SENDERS[4]}").is_success
    eventually(lambda: mail.status()[SENDERS[4]]["state"] == "UNBLOCKED")


def test_secrets_of_the_service_are_in_no_log(mail: Mail, stage: Mail) -> None:
    for log in Path(stage.system.stack.logs).glob("*.log"):
        content = log.read_text()
        assert "PRIVATE KEY" not in content
        assert stage.zone.zone not in content


def reason_of(operation: dict[str, Any]) -> str:
    details = operation["error"]["details"]
    return str(next(each for each in details if each["@type"].endswith("ErrorInfo"))["reason"])
