"""Installing through the edge, to a real BMC; this test plays the machine that boots."""

import hashlib
import re
import urllib.request
from typing import Any

import pytest

from lab.booting import NetworkBoot, token_in
from lab.ipmi_sim import IpmiSim
from tests.integration.booting import SSH_KEY, Booting, begin, refused
from tests.integration.conftest import System, eventually, reason

INSTALL = ("server.details", "install.start", "install.status", "rescue.enter")
DISK_IMAGE = b"a disk image\n" * 1000

USER_DATA = """\
#cloud-config
hostname: {{ hostname | tojson }}
ssh_authorized_keys: {{ ssh_keys | tojson }}
phone_home: {url: {{ first_boot_url | tojson }}, post: [hostname]}
"""

PRESEED = """\
d-i netcfg/get_hostname string {{ hostname }}
d-i partman-auto/choose_recipe select {{ layout }}
d-i preseed/early_command string wget -O - --post-data \
  {{ {"report_token": report_token, "event": "ALIVE"} | tojson | shell }} {{ report_url }}
"""


class Installing(Booting):
    """A server that is installed."""

    def install(self, template: str, **form: Any) -> str:
        """The name of the operation that was accepted."""
        return self.asked("/install", template=template, confirm_hostname=self.hostname, **form)

    def status(self) -> dict[str, Any]:
        return self.told("/install/status")

    def failed(self, name: str) -> tuple[str, str]:
        """Reason and text of an installation that failed."""
        error = self.ended(name)["error"]
        status = self.status()
        assert (status["state"], status["message"]) == ("FAILED", error["message"])
        assert status["reason"] == error["details"][0]["reason"]
        assert self.server()["netboot"]["boot_type"] == "HARDDISK"
        return status["reason"], status["message"]


def put_template(system: System, name: str, **form: Any) -> Any:
    given = {"os": "Debian", "version": "12", "image": "installer", **form}
    return system.noc("PUT", f"/api/noc/templates/{name}", json=given)


@pytest.fixture(scope="module")
def templates(system: System) -> None:
    """streamed: a disk image is written; documented: an installer that reads a document."""
    stack = system.stack
    stack.simulated_image("installer", "IMAGE_KIND_INSTALLER")
    (stack.images / "tiny.raw").write_bytes(DISK_IMAGE)
    digest = hashlib.sha256(DISK_IMAGE).hexdigest()
    streamed = put_template(
        system,
        "streamed",
        disk_image={"path": "tiny.raw", "sha256": digest},
        documents=[
            {"name": "user-data", "content": USER_DATA},
            {"name": "meta-data", "content": "instance-id: {{ server.hostname }}\n"},
        ],
    )
    assert streamed.status_code == 200, streamed.text
    documented = put_template(
        system,
        "documented",
        command_line="auto=true url={{ document_url }}/preseed.cfg",
        documents=[{"name": "preseed.cfg", "content": PRESEED}],
        layouts=[
            {"name": "atomic", "description": "One partition", "content": "atomic"},
            {"name": "home", "description": "/home apart", "content": "home"},
        ],
    )
    assert documented.status_code == 200, documented.text


@pytest.fixture
def installing(system: System, bmc: IpmiSim, templates: None) -> Installing:
    return Installing.of(system, bmc, *INSTALL)


def fetched(machine: NetworkBoot, url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def test_a_template_that_does_not_fit_the_server_fails_before_anything_is_restarted(
    templates: None, system: System, bmc: IpmiSim
) -> None:
    documents = [{"name": "user-data", "content": "second address: {{ server.ips[1] }}"}]
    assert put_template(system, "two-ips", documents=documents).status_code == 200
    installing = Installing.of(system, bmc, *INSTALL, ip="198.19.0.1")
    why, says = installing.failed(installing.install("two-ips"))
    assert (why, "user-data" in says) == ("INSTALL_FAILED", True)
    assert bmc.executed() == []


def test_a_disk_image_is_written_and_the_installed_system_calls_home(
    installing: Installing,
) -> None:
    assert installing.status()["state"] == "STATE_UNSPECIFIED"
    name = installing.install("streamed", ssh_keys=[SSH_KEY], os_hostname="web-1")
    machine = installing.booting()
    assert installing.server()["netboot"]["boot_type"] == "INSTALL"
    told = begin(machine)
    install = told["install"]
    assert (install["path"], install["size_bytes"]) == ("/images/tiny.raw", str(len(DISK_IMAGE)))
    assert install["sha256"] == hashlib.sha256(DISK_IMAGE).hexdigest()
    seeds = {seed["name"]: seed["content"] for seed in install["seeds"]}
    assert seeds["meta-data"] == f"instance-id: {installing.hostname}\n"
    assert f'ssh_authorized_keys: ["{SSH_KEY}"]' in seeds["user-data"]
    assert 'hostname: "web-1"' in seeds["user-data"]
    machine.report("ALIVE", percent=40, message="writing", log=["one", "two\x1b[2J"])
    eventually(lambda: installing.status()["steps"][5]["state"] == "DOING")
    status = installing.status()
    assert (status["state"], status["template"]) == ("RUNNING", "streamed")
    assert (status["percent"], status["message"]) == (40, "writing")
    assert status["log"] == ["one", "two�[2J"]
    assert status["elapsed_seconds"] > 0
    machine.report("DONE")
    found = re.search(r'"(http[^"]*/first-boot/[^"]*)"', seeds["user-data"])
    assert found
    with refused(401, "CREDENTIAL_INVALID"):
        post(found[1][:-43] + "x" * 43)
    post(found[1])
    with refused(401, "BOOT_TOKEN_USED"):
        post(found[1])
    response = installing.ended(name)["response"]
    assert (response["template"], response["proof"]) == ("streamed", "FIRST_BOOT")
    status = installing.status()
    assert (status["state"], status["percent"]) == ("SUCCEEDED", 100)
    assert [step["state"] for step in status["steps"]] == ["DONE"] * 7


def post(url: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    request = urllib.request.Request(url, b"hostname=web-1", form)
    urllib.request.urlopen(request, timeout=10).close()


def test_an_installer_reads_its_document_until_it_reports(installing: Installing) -> None:
    name = installing.install("documented", layout="home", os_hostname="web-2")
    machine = installing.booting()
    script = machine.script()
    found = re.search(r"url=(\S+preseed.cfg)", script)
    assert found
    url = found[1]
    assert token_in(script)
    with refused(401, "CREDENTIAL_INVALID"):
        fetched(machine, url.replace("preseed.cfg", "other.cfg"))
    document = fetched(machine, url)
    assert fetched(machine, url) == document
    assert "string web-2\n" in document
    assert "select home\n" in document
    known_by = re.search(r"[0-9a-f]{64}", document)
    assert known_by
    machine.report_token = known_by[0]
    machine.report("ALIVE", percent=10)
    with refused(401, "BOOT_TOKEN_USED"):
        fetched(machine, url)
    machine.report("DONE")
    assert token_in(machine.script()) is None
    assert installing.ended(name)["response"]["proof"] == "BOOT_SCRIPT"


def test_a_system_that_asks_nobody_is_known_by_silence(installing: Installing) -> None:
    name = installing.install("documented")
    machine = installing.booting()
    begin(machine)
    machine.report("DONE")
    assert installing.ended(name)["response"]["proof"] == "SILENCE"


def test_an_installer_that_fails_is_told_with_its_words(installing: Installing) -> None:
    name = installing.install("streamed")
    machine = installing.booting()
    begin(machine)
    machine.report("FAILED", message="the disk is too small", log=["No space left on device"])
    why, text = installing.failed(name)
    assert (why, "the disk is too small" in text) == ("INSTALL_FAILED", True)
    assert installing.status()["log"] == ["No space left on device"]


def test_a_machine_that_is_switched_off_in_between_is_told(installing: Installing) -> None:
    name = installing.install("streamed")
    begin(installing.booting())
    installing.bmc.set_power(on=False)
    why, text = installing.failed(name)
    assert (why, "switched off" in text) == ("INSTALL_FAILED", True)


def test_a_machine_that_restarts_in_between_is_told(installing: Installing) -> None:
    name = installing.install("streamed")
    machine = installing.booting()
    begin(machine)
    assert token_in(machine.script()) is None
    why, text = installing.failed(name)
    assert (why, "restarted" in text) == ("INSTALL_FAILED", True)


def test_a_machine_that_never_calls_home_is_told(installing: Installing) -> None:
    name = installing.install("streamed")
    machine = installing.booting()
    assert installing.failed(name)[0] == "BOOT_NOT_SEEN"
    assert token_in(machine.script()) is None


def test_a_system_that_does_not_start_is_told(installing: Installing) -> None:
    name = installing.install("streamed")
    machine = installing.booting()
    begin(machine)
    machine.report("DONE")
    why, text = installing.failed(name)
    assert (why, "did not call home" in text) == ("BOOT_NOT_SEEN", True)


def test_a_template_that_is_deleted_in_between_is_installed_as_it_was(
    system: System, installing: Installing
) -> None:
    form = {"documents": [{"name": "user-data", "content": "first {{ first_boot_url }}"}]}
    digest = hashlib.sha256(DISK_IMAGE).hexdigest()
    put_template(system, "short-lived", disk_image={"path": "tiny.raw", "sha256": digest}, **form)
    name = installing.install("short-lived")
    machine = installing.booting()
    assert system.noc("DELETE", "/api/noc/templates/short-lived").status_code == 200
    [seed] = begin(machine)["install"]["seeds"]
    machine.report("DONE")
    post(seed["content"].removeprefix("first "))
    assert installing.ended(name)["response"]["template"] == "short-lived"


def test_it_survives_the_end_of_server_ops(patient_system: System) -> None:
    patient_system.stack.simulated_image("installer", "IMAGE_KIND_INSTALLER")
    assert put_template(patient_system, "plain").status_code == 200
    installing = Installing.of(patient_system, patient_system.bmc(), *INSTALL)
    name = installing.install("plain")
    machine = installing.booting()
    begin(machine)
    patient_system.stack.processes["server_ops"].kill()
    patient_system.stack.start_service("server_ops")
    machine.report("DONE")
    assert "response" in installing.ended(name)
    assert installing.bmc.executed() == ["power_0", "power_1"]


def test_it_is_called_back_while_its_bmc_is_silent(system: System, templates: None) -> None:
    bmc = system.bmc()
    bmc.stop()
    installing = Installing.of(system, bmc, *INSTALL)
    name = installing.install("streamed")
    called_back = installing.call("POST", "/install/cancel").json()
    assert (called_back["name"], called_back["error"]["code"]) == (name, 1)
    assert installing.status()["state"] == "CANCELLED"
    assert installing.server()["netboot"]["boot_type"] == "HARDDISK"


def test_it_is_called_back_only_before_the_machine_is_touched(installing: Installing) -> None:
    refusal = installing.call("POST", "/install/cancel")
    assert (refusal.status_code, reason(refusal)) == (404, "NOT_FOUND")
    name = installing.install("streamed")
    begin(installing.booting())
    refusal = installing.call("POST", "/install/cancel")
    assert (refusal.status_code, reason(refusal)) == (400, "NOT_CANCELLABLE")
    installing.bmc.set_power(on=False)
    installing.ended(name)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"template": "streamed"}, "confirm_hostname"),
        ({"template": "streamed", "confirm_hostname": "other.example.net"}, "are destroyed"),
        ({"template": "nothing", "confirm_hostname": "SELF"}, "/api/install/templates"),
        (
            {"template": "documented", "confirm_hostname": "SELF", "layout": "raid"},
            "must be atomic, home",
        ),
        (
            {"template": "streamed", "confirm_hostname": "SELF", "os_hostname": "a b"},
            "os_hostname",
        ),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_at_once(
    installing: Installing, form: dict[str, str], says: str
) -> None:
    given = {
        name: installing.hostname if value == "SELF" else value for name, value in form.items()
    }
    answer = installing.call("POST", "/install", json=given)
    assert (answer.status_code, reason(answer)) == (400, "INVALID_REQUEST")
    assert says in answer.text
    assert installing.bmc.executed() == []


def test_customers_see_what_can_be_installed(system: System, installing: Installing) -> None:
    answer = system.rest("GET", "/api/install/templates", installing.key)
    listed = {each["name"]: each for each in answer.json()["templates"]}
    assert listed["documented"] == {
        "name": "documented",
        "os": "Debian",
        "version": "12",
        "layouts": [
            {"name": "atomic", "description": "One partition"},
            {"name": "home", "description": "/home apart"},
        ],
    }


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"command_line": "{{ nothing }}"}, "'nothing' is undefined"),
        ({"command_line": "{{ hostname.__class__ }}"}, "unsafe"),
        ({"documents": [{"name": "a", "content": "\n{% if %}"}]}, "line 2"),
        ({"documents": [{"name": "a", "content": "{{ 'x' * 10**9 }}"}]}, "* is not available"),
        ({"documents": [{"name": "a"}, {"name": "a"}]}, "different names"),
        ({"image": "rescue"}, "IMAGE_KIND_INSTALLER"),
        ({"disk_image": {"path": "../secrets", "sha256": "0" * 64}}, "disk_image.path"),
    ],
    ids=str,
)
def test_a_template_with_a_mistake_is_refused(
    system: System, templates: None, form: dict[str, Any], says: str
) -> None:
    answer = put_template(system, "mistaken", **form)
    assert (answer.status_code, reason(answer)) == (400, "INVALID_REQUEST")
    assert says in answer.text
    assert system.noc("GET", "/api/noc/templates/mistaken").status_code == 404


def test_a_disk_image_that_is_not_the_one_that_was_registered_is_not_written(
    system: System, templates: None
) -> None:
    answer = put_template(system, "damaged", disk_image={"path": "tiny.raw", "sha256": "0" * 64})
    assert (answer.status_code, reason(answer)) == (400, "IMAGE_DAMAGED")
