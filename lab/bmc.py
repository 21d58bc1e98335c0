"""A simulated BMC: pyghmi's server class, mended, with an event log and sensors."""

import struct
from collections.abc import Callable
from typing import Any

from pyghmi.ipmi import bmc as pyghmi_bmc
from pyghmi.ipmi.private import constants, serversession

from lab import sensors
from lab.machine import Machine

_OK, _NOT_SUPPORTED, _BAD_LENGTH, _NOT_PRESENT, _WRONG_STATE = 0x00, 0x80, 0xC7, 0xCB, 0xD5
"""Completion codes, IPMI 2.0 table 5-2; 80h as section 28.12 has it, for a boot parameter."""

_UNAUTHORIZED_NAME, _NO_CIPHER_SUITE = 0x0D, 0x11
"""RMCP+ statuses, IPMI 2.0 table 13-15."""

_HMAC_SHA1 = 1
"""RAKP authentication algorithm, IPMI 2.0 table 13-17: the only one that the server class has."""

_ALGORITHM = 12
"""Where an open session request names the authentication algorithm, IPMI 2.0 table 13-9."""

_BOOT_FLAGS = 5
"""Boot option parameter, IPMI 2.0 table 28-14."""

_PROMPT = "login: "
"""What a simulated machine writes when it is up."""

Respond = Callable[..., None]


class _ServerSession(serversession.ServerSession):  # type: ignore[misc]
    """A session that refuses what it cannot do, so that clients fall back to what it can."""

    def create_open_session_response(self, request: bytes) -> bytearray:
        response: bytearray = super().create_open_session_response(request)
        if len(request) > _ALGORITHM and request[_ALGORITHM] != _HMAC_SHA1:
            return bytearray([request[0], _NO_CIPHER_SUITE, 0, 0]) + request[4:8]
        return response

    def _got_rakp1(self, data: Any) -> None:
        # The server class says nothing to a name it does not know, and its own client then waits
        # for ever. A name begins at byte 28: table 13-11.
        if bytes(data[28:]).decode() not in self.authdata:
            refusal = bytearray([data[0], _UNAUTHORIZED_NAME, 0, 0]) + self.clientsessionid
            self.send_payload(refusal, constants.payload_types["rakp2"], retry=False)
            return
        super()._got_rakp1(data)

    def sessionless_data(self, data: bytes, sockaddr: Any) -> None:
        """A datagram of a known client that belongs to no session is the BMC's."""
        self.bmc.sessionless_data(data, sockaddr)


serversession.ServerSession = _ServerSession


class SimulatedBmc(pyghmi_bmc.Bmc):  # type: ignore[misc]
    """The BMC of one machine, on a UDP port of its own."""

    def __init__(
        self,
        machine: Machine,
        *,
        address: str,
        port: int,
        username: str,
        password: str,
        executed: Callable[[str], None],
    ) -> None:
        """`executed` is told every chassis command that was executed."""
        super().__init__({username: password}, port=port, address=address)
        self.machine = machine
        self._executed = executed
        self._extra: dict[tuple[int, int], Callable[[bytes, Respond], None]] = {
            (0x06, 0x01): self._device_id,
            (0x00, 0x07): self._restart_cause,
            (0x00, 0x08): self._set_boot_option,
            (0x00, 0x09): self._boot_option,
            (0x0A, 0x40): self._sel_info,
            (0x0A, 0x42): self._reserve,
            (0x0A, 0x43): self._sel_entry,
            (0x0A, 0x44): self._sel_add,
            (0x0A, 0x48): self._sel_time,
            (0x0A, 0x20): self._sdr_info,
            (0x0A, 0x22): self._reserve,
            (0x0A, 0x23): self._sdr,
            (0x04, 0x2D): self._sensor_reading,
            (0x0C, 0x22): self._serial_setting,
        }
        self.iohandler = self._typed

    def handle_raw_request(self, request: Any, session: Any) -> None:
        """Answers a request of an established session."""
        self.machine.advance()
        extra = self._extra.get((request["netfn"], request["command"]))
        if extra is None:
            super().handle_raw_request(request, session)
            return
        try:
            extra(bytes(request["data"]), session.send_ipmi_response)
        except (struct.error, IndexError):
            session.send_ipmi_response(code=_BAD_LENGTH)

    def is_active(self) -> bool:
        """Whether it has a serial console to attach."""
        return True

    def get_power_state(self) -> str:
        return "on" if self.machine.on else "off"

    def power_on(self) -> int:
        return self._execute("power_on", self.machine.power_on)

    def power_off(self) -> int:
        return self._execute("power_off", self.machine.power_off)

    def power_shutdown(self) -> int:
        return self._execute_when_on("soft_shutdown", self.machine.shut_down)

    def power_cycle(self) -> int:
        return self._execute_when_on("power_cycle", self.machine.power_cycle)

    def power_reset(self) -> int:
        return self._execute_when_on("reset", self.machine.reset)

    def _execute(self, name: str, act: Callable[[], None]) -> int:
        self._executed(name)
        act()
        self._write(f"\r\n*** {name}\r\n{_PROMPT}" if self.machine.on else f"\r\n*** {name}\r\n")
        return _OK

    def _execute_when_on(self, name: str, act: Callable[[], None]) -> int:
        return self._execute(name, act) if self.machine.on else _WRONG_STATE

    def _typed(self, data: bytes) -> None:
        """What is typed on the serial console: a login that lets nobody in."""
        if self.machine.on:
            self._write(data.decode(errors="replace").replace("\r", f"\r\n{_PROMPT}"))

    def _write(self, text: str) -> None:
        if self.sol is not None:
            self.sol.send_data(text)

    def _serial_setting(self, data: bytes, respond: Respond) -> None:
        # Get SOL Configuration Parameters, section 26.3: of those, SOL Enable alone.
        if data[1] == 1:
            respond(data=[0x11, 0x01])
        else:
            respond(code=_NOT_SUPPORTED)

    def _device_id(self, _data: bytes, respond: Respond) -> None:
        # Device, its revision, firmware 1.00, IPMI 2.0, then chassis, SEL, SDR repository and
        # sensors; no manufacturer, no product: section 20.1.
        respond(data=[0x20, 0x01, 0x01, 0x00, 0x02, 0x87, *bytes(3), *bytes(2)])

    def _set_boot_option(self, data: bytes, respond: Respond) -> None:
        # The other parameters that clients write say when flags are dropped: nothing to do here.
        if data[0] & 0x7F == _BOOT_FLAGS:
            self.machine.boot_flags = struct.unpack("5s", data[1:])[0]
        respond()

    def _boot_option(self, data: bytes, respond: Respond) -> None:
        if data[0] & 0x7F == _BOOT_FLAGS:
            respond(data=bytes([0x01, _BOOT_FLAGS]) + self.machine.boot_flags)
        else:
            respond(code=_NOT_SUPPORTED)

    def _restart_cause(self, _data: bytes, respond: Respond) -> None:
        respond(data=[self.machine.restart_cause, 0x01])

    def _sel_info(self, _data: bytes, respond: Respond) -> None:
        last = self.machine.records[-1][1:5] if self.machine.records else bytes(4)
        count = len(self.machine.records)
        # Version, entries, free bytes, last addition, last erase, supported operations: 31.2
        respond(data=struct.pack("<BHH4sIB", 0x51, count, 0xFFFF, last, 0, 0x02))

    def _sel_entry(self, data: bytes, respond: Respond) -> None:
        (asked,) = struct.unpack_from("<H", data, 2)
        machine = self.machine
        last = machine.first_record + len(machine.records) - 1
        record = {0x0000: machine.first_record, 0xFFFF: last}.get(asked, asked)
        if not machine.records or not machine.first_record <= record <= last:
            respond(code=_NOT_PRESENT)
            return
        following = 0xFFFF if record == last else record + 1
        content = machine.records[record - machine.first_record]
        respond(data=struct.pack("<HH", following, record) + content)

    def _sel_add(self, data: bytes, respond: Respond) -> None:
        # The id and the time are the BMC's to set: section 31.6.
        time = int(self.machine.clock()).to_bytes(4, "little")
        record = self.machine.add_record(data[2:3] + time + data[7:16])
        respond(data=struct.pack("<H", record))

    def _sel_time(self, _data: bytes, respond: Respond) -> None:
        respond(data=struct.pack("<I", int(self.machine.clock())))

    def _sdr_info(self, _data: bytes, respond: Respond) -> None:
        respond(data=struct.pack("<BHHIIB", 0x51, len(sensors.RECORDS), 0xFFFF, 0, 0, 0x02))

    def _reserve(self, _data: bytes, respond: Respond) -> None:
        respond(data=[0x01, 0x00])

    def _sdr(self, data: bytes, respond: Respond) -> None:
        asked, offset, count = struct.unpack_from("<HBB", data, 2)
        if asked >= len(sensors.RECORDS):
            respond(code=_NOT_PRESENT)
            return
        record = sensors.RECORDS[asked]
        following = asked + 1 if asked + 1 < len(sensors.RECORDS) else 0xFFFF
        part = record[offset:] if count == 0xFF else record[offset : offset + count]
        respond(data=struct.pack("<H", following) + part)

    def _sensor_reading(self, data: bytes, respond: Respond) -> None:
        reading = sensors.reading(data[0], on=self.machine.on)
        if reading is None:
            respond(code=_NOT_PRESENT)
        else:
            # Reading, events and scanning enabled, no threshold crossed: section 35.14
            respond(data=[reading, 0xC0, 0xC0])
