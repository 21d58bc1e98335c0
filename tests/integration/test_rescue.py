"""Rescue through the edge, to a real BMC; this test plays the machine that boots."""

from typing import Any

import bcrypt
import pytest

from lab.booting import NetworkBoot, host_key, token_in
from lab.ipmi_sim import IpmiSim
from services.server_ops.rescue.host_key import fingerprint
from tests.integration.booting import SSH_KEY, Booting, begin, refused
from tests.integration.conftest import System, eventually, reason
from tests.integration.people import signed_in

RESCUE = ("server.details", "server.reboot", "rescue.enter", "rescue.exit")


class Rescued(Booting):
    """A server that is rescued."""

    def rescue(self) -> dict[str, Any]:
        return self.told("/rescue")

    def enter(self, **form: Any) -> NetworkBoot:
        """Goes into rescue, and answers the machine that is there."""
        name = self.asked("/rescue/enter", **form)
        machine = self.booting()
        begin(machine)
        machine.report("READY", ssh_host_keys=[host_key()])
        assert "response" in self.ended(name)
        return machine


@pytest.fixture
def rescued(system: System, bmc: IpmiSim) -> Rescued:
    return Rescued.of(system, bmc, *RESCUE)


def test_into_rescue_and_out_again(rescued: Rescued) -> None:
    assert rescued.rescue()["state"] == "INACTIVE"
    name = rescued.asked("/rescue/enter", ssh_keys=[SSH_KEY])
    assert rescued.rescue()["state"] == "ENTERING"
    machine = rescued.booting()
    netboot = rescued.server()["netboot"]
    assert netboot == {
        "boot_type": "RESCUE",
        "once": True,
        "image": "rescue",
        "kernel": "rescue/kernel",
        "last_boot_type": "BOOT_TYPE_UNSPECIFIED",
    }
    told = begin(machine)
    assert told["hostname"] == rescued.hostname
    assert (told["ssh_keys"], told["password_hash"]) == ([SSH_KEY], "")
    assert rescued.rescue()["state"] == "ENTERING"
    key = host_key()
    machine.report("READY", ssh_host_keys=[key])
    response = rescued.ended(name)["response"]
    assert response["ssh_host_key_fingerprints"] == [fingerprint(key)]
    active = rescued.rescue()
    assert (active["state"], active["ssh_host_keys"]) == ("ACTIVE", [key])
    assert active["password_readable"] is False
    assert rescued.server()["netboot"]["boot_type"] == "HARDDISK"
    assert rescued.server()["netboot"]["last_boot_type"] == "RESCUE"
    before = active["contact_time"]
    machine.report("ALIVE")
    assert rescued.rescue()["contact_time"] > before

    ended = rescued.ended(rescued.asked("/rescue/exit"))
    assert ended["response"]["proof"] == "SILENCE"
    assert rescued.bmc.executed() == ["power_0", "power_1"] * 2
    assert rescued.bmc.boot() == "disk"
    assert rescued.rescue()["state"] == "INACTIVE"
    with refused(401, "CREDENTIAL_INVALID"):
        machine.report("ALIVE")


def test_a_machine_that_asks_the_network_first_shows_that_it_left(rescued: Rescued) -> None:
    rescued.enter(ssh_keys=[SSH_KEY])
    name = rescued.asked("/rescue/exit")
    eventually(lambda: rescued.bmc.executed() == ["power_0", "power_1"] * 2)
    script = rescued.machine().script()
    assert "sanboot" in script
    assert token_in(script) is None
    assert rescued.ended(name)["response"]["proof"] == "BOOT_SCRIPT"


def test_the_password_is_read_once_and_kept_as_a_hash_alone(rescued: Rescued) -> None:
    name = rescued.asked("/rescue/enter")
    refusal = rescued.call("POST", "/rescue/password")
    assert (refusal.status_code, reason(refusal)) == (400, "RESCUE_NOT_ACTIVE")
    machine = rescued.booting()
    told = begin(machine)
    machine.report("READY", ssh_host_keys=[host_key()])
    rescued.ended(name)
    assert rescued.rescue()["password_readable"] is True
    password = rescued.call("POST", "/rescue/password").json()["password"]
    assert bcrypt.checkpw(password.encode(), told["password_hash"].encode())
    assert rescued.rescue()["password_readable"] is False
    again = rescued.call("POST", "/rescue/password")
    assert (again.status_code, reason(again)) == (404, "NOT_FOUND")
    stack = rescued.system.stack
    written = [each for each in stack.run.rglob("*") if each.suffix in {".db", ".db-wal", ".log"}]
    assert written
    for path in written:
        content = path.read_bytes()
        assert password.encode() not in content
        assert machine.report_token.encode() not in content


def test_a_person_takes_a_server_into_rescue_and_out_again(rescued: Rescued) -> None:
    path = f"/api/servers/{rescued.hostname}/rescue"
    with signed_in(rescued.system) as browser:
        entering = browser.post(f"{path}/enter")
        assert entering.status_code == 200, entering.text
        machine = rescued.booting()
        told = begin(machine)
        machine.report("READY", ssh_host_keys=[host_key()])
        assert "response" in rescued.ended(entering.json()["name"])
        password = browser.post(f"{path}/password").json()["password"]
        assert bcrypt.checkpw(password.encode(), told["password_hash"].encode())
        exiting = browser.post(f"{path}/exit")
        assert exiting.status_code == 200, exiting.text
        assert "response" in rescued.ended(exiting.json()["name"])
    assert rescued.bmc.executed() == ["power_0", "power_1"] * 2


def test_what_is_in_rescue_cannot_enter_and_what_is_not_cannot_leave(rescued: Rescued) -> None:
    refusal = rescued.call("POST", "/rescue/exit")
    assert (refusal.status_code, reason(refusal)) == (400, "RESCUE_NOT_ACTIVE")
    rescued.enter(request_id="first")
    refusal = rescued.call("POST", "/rescue/enter")
    assert (refusal.status_code, reason(refusal)) == (400, "RESCUE_ACTIVE")
    # The same request again is the same operation, whatever came of it.
    again = rescued.call("POST", "/rescue/enter", json={"request_id": "first"})
    assert again.json()["done"] is True


def test_a_reboot_leaves_rescue_which_is_booted_once(rescued: Rescued) -> None:
    rescued.enter()
    rescued.ended(rescued.asked("/reboot"))
    assert rescued.rescue()["state"] == "INACTIVE"


def test_a_machine_that_asks_again_left_rescue(rescued: Rescued) -> None:
    rescued.enter()
    rescued.machine().script()
    assert rescued.rescue()["state"] == "INACTIVE"


@pytest.mark.parametrize(
    ("how_far", "says"),
    [
        ("nothing", "did not ask the network"),
        ("script", "did not call home"),
        ("begin", "did not say that it is ready"),
    ],
)
def test_a_machine_that_does_not_come_into_rescue_is_told_and_can_be_tried_again(
    rescued: Rescued, how_far: str, says: str
) -> None:
    name = rescued.asked("/rescue/enter")
    machine = rescued.booting()
    if how_far == "script":
        machine.script()
    elif how_far == "begin":
        begin(machine)
    error = rescued.ended(name)["error"]
    assert error["details"][0]["reason"] == "BOOT_NOT_SEEN"
    assert says in error["message"]
    assert rescued.rescue()["state"] == "ENTER_FAILED"
    # Nothing is left that a machine could boot late.
    assert token_in(machine.script()) is None
    rescued.enter()
    assert rescued.rescue()["state"] == "ACTIVE"


def test_a_machine_that_stays_in_rescue_is_told(rescued: Rescued) -> None:
    machine = rescued.enter()
    name = rescued.asked("/rescue/exit")

    def calls_on() -> bool:
        with refused(401, "CREDENTIAL_INVALID"):
            machine.report("ALIVE")
        return bool(rescued.system.rest("GET", f"/api/{name}", rescued.key).json()["done"])

    eventually(lambda: rescued.bmc.executed() == ["power_0", "power_1"] * 2)
    eventually(calls_on)
    error = rescued.ended(name)["error"]
    assert error["details"][0]["reason"] == "WRONG_SYSTEM"
    assert rescued.rescue()["state"] == "EXIT_FAILED"
    assert "response" in rescued.ended(rescued.asked("/rescue/exit"))


def test_tokens_are_for_one_system_of_one_server(rescued: Rescued, system: System) -> None:
    theirs = Rescued.of(system, system.bmc(), *RESCUE)
    names = [each.asked("/rescue/enter") for each in (rescued, theirs)]
    mine, other_machine = rescued.booting(), theirs.booting()
    with refused(401, "CREDENTIAL_INVALID"):
        mine.begin("x" * 43)
    with refused(401, "CREDENTIAL_INVALID"):
        mine.report("READY")
    first, second = token_in(mine.script()), token_in(mine.script())
    assert first
    assert second
    with refused(401, "CREDENTIAL_INVALID"):
        mine.begin(first)  # a later script made it void
    assert mine.begin(second)["hostname"] == rescued.hostname
    assert mine.begin(second)["hostname"] == rescued.hostname  # the answer was lost: told again
    thief = rescued.machine()
    with refused(401, "BOOT_TOKEN_USED"):
        thief.begin(second)
    with refused(401, "CREDENTIAL_INVALID"):
        thief.report("READY", ssh_host_keys=[host_key()])
    begin(other_machine)
    other_machine.report("READY", ssh_host_keys=[host_key()])
    assert "response" in theirs.ended(names[1])
    assert rescued.rescue()["state"] == "ENTERING"
    mine.report("READY", ssh_host_keys=[host_key()])
    assert "response" in rescued.ended(names[0])


def test_it_survives_the_end_of_server_ops(patient_system: System) -> None:
    bmc = patient_system.bmc()
    rescued = Rescued.of(patient_system, bmc, *RESCUE)
    name = rescued.asked("/rescue/enter")
    machine = rescued.booting()
    patient_system.stack.processes["server_ops"].kill()
    patient_system.stack.start_service("server_ops")
    begin(machine)
    machine.report("READY", ssh_host_keys=[host_key()])
    assert "response" in rescued.ended(name)
    assert bmc.executed() == ["power_0", "power_1"]
    assert rescued.rescue()["state"] == "ACTIVE"


def test_a_damaged_image_is_not_booted(patient_system: System) -> None:
    bmc = patient_system.bmc()
    rescued = Rescued.of(patient_system, bmc, *RESCUE)
    patient_system.stack.simulated_image("damaged", "IMAGE_KIND_RESCUE")
    (patient_system.stack.images / "damaged" / "initrd").write_bytes(b"something else")
    error = rescued.ended(rescued.asked("/rescue/enter", image="damaged"))["error"]
    assert error["details"][0]["reason"] == "IMAGE_DAMAGED"
    assert bmc.executed() == []


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"image": "nothing"}, "image"),
        ({"ssh_keys": ["not a key"]}, "ssh_keys[0]"),
        ({"ssh_keys": [SSH_KEY + "\nssh-rsa AAAA evil"]}, "ssh_keys[0]"),
        ({"ssh_keys": [SSH_KEY, SSH_KEY]}, "ssh_keys"),
    ],
    ids=str,
)
def test_bad_input_is_refused_at_once(rescued: Rescued, form: dict[str, Any], says: str) -> None:
    answer = rescued.call("POST", "/rescue/enter", json=form)
    assert (answer.status_code, reason(answer)) == (400, "INVALID_REQUEST")
    assert says in answer.text
    assert rescued.rescue()["state"] == "INACTIVE"


def test_an_address_of_a_server_speaks_for_that_server_alone(
    rescued: Rescued, system: System
) -> None:
    name = rescued.asked("/rescue/enter")
    machine = rescued.booting()
    token = token_in(machine.script())
    assert token
    # Every call comes from loopback here: as long as that is another server's address, it is its.
    other = system.server(system.bmc(), hostname="ns-loopback.fleet.example.net", ip="127.0.0.1")
    with refused(404, "NOT_FOUND"):
        machine.script()
    with refused(401, "CREDENTIAL_INVALID"):
        machine.begin(token)
    assert system.noc("DELETE", f"/api/noc/servers/{other}").status_code == 200
    machine.begin(token)
    machine.report("READY", ssh_host_keys=[host_key()])
    assert "response" in rescued.ended(name)


def test_what_an_account_booted_is_none_of_the_next_ones_business(
    rescued: Rescued, system: System
) -> None:
    machine = rescued.enter()
    system.account("next")
    system.server(rescued.bmc, account="next", hostname=rescued.hostname)
    theirs = system.key(rescued.hostname, account="next", capabilities=RESCUE)
    path = f"/api/servers/{rescued.hostname}/rescue"
    assert system.rest("GET", path, theirs).json()["state"] == "INACTIVE"
    refusal = system.rest("POST", f"{path}/password", theirs)
    assert reason(refusal) == "RESCUE_NOT_ACTIVE"
    with refused(401, "CREDENTIAL_INVALID"):
        machine.report("ALIVE")


def test_a_machine_is_known_by_its_uuid_too(system: System, bmc: IpmiSim) -> None:
    uuid = "4c4c4544-0051-3610-8052-b4c04f4d3132"
    rescued = Rescued.of(system, bmc, *RESCUE, uuid=uuid)
    name = rescued.asked("/rescue/enter")
    machine = rescued.booting()
    machine.mac, machine.uuid = "02:00:00:00:00:01", uuid.upper()
    begin(machine)
    machine.report("READY", ssh_host_keys=[host_key()])
    assert "response" in rescued.ended(name)


def test_a_server_boots_an_image_at_every_start_if_the_noc_says_so(
    rescued: Rescued, system: System
) -> None:
    system.stack.simulated_image("diskless", "IMAGE_KIND_NETWORK")
    path = f"/api/noc/servers/{rescued.hostname}/netboot"

    def boots(boot_type: str, image: str) -> Any:
        return system.noc("PUT", path, json={"boot_type": boot_type, "image": image})

    for image, boot_type in (("rescue", "NETWORK"), ("", "NETWORK"), ("diskless", "HARDDISK")):
        refusal = boots(boot_type, image)
        assert (refusal.status_code, reason(refusal)) == (400, "INVALID_REQUEST")
    told = boots("NETWORK", "diskless").json()
    assert (told["boot_type"], told["once"], told["kernel"]) == (
        "NETWORK",
        False,
        "diskless/kernel",
    )
    for _ in range(2):
        script = rescued.machine().script()
        assert "/images/diskless/kernel" in script
        assert token_in(script) is None
    assert rescued.server()["netboot"]["last_boot_type"] == "NETWORK"

    rescued.enter()
    assert rescued.server()["netboot"]["image"] == "diskless"
    name = rescued.asked("/rescue/exit")
    assert "/images/diskless/kernel" in rescued.booting().script()
    assert rescued.ended(name)["response"]["proof"] == "BOOT_SCRIPT"
    rescued.enter()
    assert "/images/diskless/kernel" in rescued.machine().script()
    assert rescued.rescue()["state"] == "INACTIVE"

    boots("HARDDISK", "")
    assert "sanboot" in rescued.machine().script()


def test_a_machine_that_nobody_knows_boots_nothing_of_ours(system: System) -> None:
    with refused(404, "NOT_FOUND"):
        NetworkBoot(system.stack.provisioning_url, "02:00:00:00:00:01").script()
