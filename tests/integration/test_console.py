"""The serial console through the whole system: the real Envoy, and a BMC with a serial line."""

import json
import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import grpc
import httpx
import pytest
from f2h.server_ops.v1 import console_pb2, console_pb2_grpc

from lab.ipmi_sim import IpmiSim
from lab.serial_line import SerialLine
from tests.integration.conftest import ACCOUNT, CAPABILITIES, Key, System, eventually, reason
from tests.unit.serving import info_of, status_of


@dataclass
class Machine:
    line: SerialLine
    hostname: str
    key: Key
    bmc: IpmiSim


@pytest.fixture
def machine(system: System) -> Iterator[Machine]:
    with SerialLine() as line:
        bmc = system.bmc(serial_port=line.port)
        server = system.server(bmc)
        may = [*CAPABILITIES, "console.attach"]
        yield Machine(line, server, system.key(server, capabilities=may), bmc)


class Terminal:
    """A native client that has a console attached."""

    def __init__(self, system: System, machine: Machine, **first: Any) -> None:
        self._given: queue.SimpleQueue[console_pb2.AttachConsoleRequest | None] = (
            queue.SimpleQueue()
        )
        stub = console_pb2_grpc.ConsoleServiceStub(system.channel)
        self._given.put(console_pb2.AttachConsoleRequest(hostname=machine.hostname, **first))
        self.answers: Any = stub.AttachConsole(
            iter(self._given.get, None), metadata=machine.key.metadata, timeout=60
        )

    def attached(self) -> "Terminal":
        assert next(self.answers) == console_pb2.AttachConsoleResponse()
        return self

    def begun(self) -> str:
        """Why it was refused; empty: it is attached."""
        try:
            self.attached()
        except grpc.RpcError as error:
            return str(info_of(status_of(error)).reason)
        return ""

    def read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            data += next(self.answers).data
        return data

    def send(self, **message: Any) -> None:
        self._given.put(console_pb2.AttachConsoleRequest(**message))

    def hang_up(self) -> None:
        self._given.put(None)
        self.answers.cancel()

    def ended(self) -> str:
        """Why it ended."""
        with pytest.raises(grpc.RpcError) as caught:
            self.read(1 << 30)
        return str(info_of(status_of(caught.value)).reason)


@contextmanager
def reading(system: System, machine: Machine, **query: Any) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a console over REST."""
    url = f"{system.stack.url}/api/servers/{machine.hostname}/console"
    with httpx.stream("GET", url, headers=machine.key.headers, params=query, timeout=20) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream"
        yield (json.loads(line[5:]) for line in answer.iter_lines() if line.startswith("data:"))


def free(system: System, machine: Machine) -> bool:
    """Whether nobody has the console any more."""
    url = f"{system.stack.url}/api/servers/{machine.hostname}/console"
    with httpx.stream("GET", url, headers=machine.key.headers, timeout=20) as answer:
        return answer.status_code == 200


def test_a_terminal_reads_and_types(system: System, machine: Machine) -> None:
    terminal = Terminal(system, machine, data=b"root\r").attached()
    assert machine.line.typed(5) == b"root\r"
    machine.line.write(b"Password: ")
    assert terminal.read(10) == b"Password: "
    terminal.send(data=b"secret\r")
    assert machine.line.typed(12) == b"root\rsecret\r"
    terminal.hang_up()
    eventually(lambda: free(system, machine))


def test_over_rest_it_is_read_as_text(system: System, machine: Machine) -> None:
    with reading(system, machine) as events:
        assert next(events) == {"text": "", "lost": False}
        machine.line.write("Grüße\r\n".encode())
        text = ""
        while len(text) < 7:
            text += next(events)["text"]
        assert text == "Grüße\r\n"
    eventually(lambda: free(system, machine))


def test_one_reads_at_a_time_and_another_takes_over(system: System, machine: Machine) -> None:
    terminal = Terminal(system, machine).attached()
    refused = system.rest("GET", f"/api/servers/{machine.hostname}/console", machine.key)
    assert (refused.status_code, reason(refused)) == (409, "CONSOLE_TAKEN")
    assert Terminal(system, machine).ended() == "CONSOLE_TAKEN"
    with reading(system, machine, take_over="true") as events:
        assert next(events)["text"] == ""
        assert terminal.ended() == "CONSOLE_TAKEN"
        machine.line.write(b"mine")
        assert next(events)["text"]


def test_it_goes_on_while_the_machine_is_rebooted(system: System, machine: Machine) -> None:
    terminal = Terminal(system, machine).attached()
    path = f"/api/servers/{machine.hostname}/reboot"
    operation = system.rest("POST", path, machine.key).json()["name"]
    assert "error" not in system.finished(operation, machine.key)
    machine.line.write(b"Linux version")
    assert terminal.read(13) == b"Linux version"
    terminal.hang_up()


def test_a_revoked_key_loses_its_console_within_a_second(system: System, machine: Machine) -> None:
    terminal = Terminal(system, machine).attached()
    assert system.noc("DELETE", f"/api/keys/{machine.key.id}").is_success
    begin = time.monotonic()
    assert terminal.ended() == "KEY_REVOKED"
    assert time.monotonic() - begin < 1.0
    anew = system.key(machine.hostname, capabilities=["console.attach"])
    other = replace(machine, key=anew)
    eventually(lambda: free(system, other))


def test_a_key_that_is_narrowed_loses_its_console(system: System, machine: Machine) -> None:
    terminal = Terminal(system, machine).attached()
    body = {"capabilities": ["server.details"]}
    answer = system.noc("PATCH", f"/api/keys/{machine.key.id}", json=body)
    assert answer.is_success, answer.text
    assert terminal.ended() == "PRINCIPAL_INVALID"


def test_a_server_that_is_moved_takes_its_console_along(system: System, machine: Machine) -> None:
    terminal = Terminal(system, machine).attached()
    system.account("other")
    system.server(machine.bmc, account="other", hostname=machine.hostname)
    assert terminal.ended() == "SERVER_NOT_GRANTED"


def test_of_many_who_take_over_at_once_one_has_it(system: System, machine: Machine) -> None:
    terminals = [Terminal(system, machine, take_over=True) for _ in range(6)]
    with ThreadPoolExecutor(len(terminals)) as threads:
        begun = [*threads.map(Terminal.begun, terminals)]
    last = begun.index("")
    machine.line.write(b"mine")
    attached = [each for each, why in zip(terminals, begun, strict=True) if not why]
    reasons = [each.ended() for each in attached[:-1]] if len(attached) > 1 else []
    assert {*reasons, *begun} - {""} <= {"CONSOLE_TAKEN"}
    assert last >= 0
    # Nobody stands in the way of other calls.
    path = f"/api/servers/{machine.hostname}/reboot"
    answer = system.rest("POST", path, machine.key)
    assert "error" not in system.finished(answer.json()["name"], machine.key)
    for each in terminals:
        each.hang_up()


def test_who_may_not_is_refused_and_recorded(system: System, machine: Machine) -> None:
    without = system.key(machine.hostname, capabilities=["server.details"])
    assert Terminal(system, replace(machine, key=without)).ended() == ("CAPABILITY_MISSING")
    elsewhere = replace(machine, hostname="ns1.other.example.net")
    assert Terminal(system, elsewhere).ended() == "SERVER_NOT_GRANTED"
    terminal = Terminal(system, machine).attached()
    terminal.send(hostname=machine.hostname)
    assert terminal.ended() == "INVALID_REQUEST"
    with reading(system, machine) as events:
        next(events)
    assert outcomes(system, machine.hostname) == {
        ("AttachConsole", "ACCEPTED"),
        ("ReadConsole", "ACCEPTED"),
    }
    assert outcomes(system, elsewhere.hostname) == {("AttachConsole", "REFUSED")}


def outcomes(system: System, resource: str) -> set[tuple[str, str]]:
    """What the trail says of the consoles of a server."""
    query = {"account": ACCOUNT, "resource": resource}
    answer = system.noc("GET", "/api/audit", params=query).json()
    return {
        (record["method"].rpartition("/")[2], record["outcome"])
        for record in answer["records"]
        if "Console" in record["method"]
    }


def test_a_machine_without_a_console_says_so(system: System) -> None:
    server = system.server(system.bmc())
    key = system.key(server, capabilities=["console.attach"])
    refused = system.rest("GET", f"/api/servers/{server}/console", key)
    assert (refused.status_code, reason(refused)) == (400, "BMC_UNSUPPORTED")
