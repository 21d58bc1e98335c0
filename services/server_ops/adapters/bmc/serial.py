"""Serial over LAN, IPMI 2.0 section 15, on a session that is there already."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from services.server_ops.adapters.bmc.ipmi_session import IpmiSession, NotSent, Unanswered
from services.server_ops.bmc.errors import BmcUnreachable, BmcUnsupported, ConsoleTaken

_APPLICATION = 0x06
_ACTIVATE, _DEACTIVATE, _STATUS = 0x48, 0x49, 0x4A
"""Activate Payload, Deactivate Payload, Get Payload Activation Status: section 24.1, 24.2, 24.4."""

_SERIAL, _INSTANCE = 0x01, 0x01
_ENCRYPTED_AND_AUTHENTICATED = 0xC0

_ALREADY_ACTIVE, _DISABLED = 0x80, 0x81
"""Completion codes of Activate Payload, table 24-2."""

_ASK_SECONDS, _ASK_TIMES = 1.0, 5

_RESEND_SECONDS, _RESENDS = 0.5, 7
"""How long an acknowledgement is waited for, and how often data is sent again before the console is
taken for lost. Section 15.11 leaves both to us; data that was sent again is told by its number."""

_QUIET_SECONDS = 20.0
"""After so long without a word the BMC is asked whether the console is still ours."""

_BREAK, _NACK, _DEACTIVATED = 0x10, 0x40, 0x10
"""Bits of the fourth byte: of ours (table 15-2, generate break), and of the BMC's (refused,
deactivated)."""

_HEADER_BYTES = 4


@dataclass(frozen=True)
class Packet:
    """A payload of Serial over LAN: table 15-2."""

    number: int
    """1 to 15; 0: it bears no data and is not acknowledged."""
    acknowledged: int
    """Number of the packet that it answers; 0: none."""
    accepted: int
    """How many characters of that packet were taken."""
    status: int
    data: bytes

    def packed(self) -> bytes:
        """As it is sent."""
        return bytes([self.number, self.acknowledged, self.accepted, self.status]) + self.data

    @staticmethod
    def read(payload: bytes) -> "Packet | None":
        """The packet in a payload; None when it is too short."""
        if len(payload) < _HEADER_BYTES:
            return None
        number, acknowledged, accepted, status = payload[:_HEADER_BYTES]
        return Packet(
            number & 0x0F, acknowledged & 0x0F, accepted, status, bytes(payload[_HEADER_BYTES:])
        )


class SerialOverLan:
    """The serial console of a machine, attached once."""

    def __init__(self, session: IpmiSession) -> None:
        self._session = session
        self._came: asyncio.Queue[Packet | None] = asyncio.Queue(1000)
        self._acknowledged: asyncio.Queue[Packet] = asyncio.Queue(16)
        self._last_number, self._last_length = 0, 0
        self._number = 0
        self._most = 0

    async def run(self, given: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
        """Attaches; yields what the machine writes, and types what is `given` (None: a break).

        Ends when the BMC or the session ends it. Raises BmcUnsupported, ConsoleTaken and
        BmcUnreachable.
        """
        self._most = await self._activate()
        self._session.take_serial(self._take)
        typing = asyncio.create_task(self._type(given))
        typing.add_done_callback(lambda _task: self._end())
        try:
            while (packet := await self._next()) is not None:
                if data := self._new_data(packet):
                    yield data
                if packet.status & _DEACTIVATED:
                    return
        finally:
            typing.cancel()
            self._session.take_serial(None)
            await self._deactivate()

    async def _activate(self) -> int:
        """Activate Payload: the most characters that a packet to the BMC may bear."""
        options = bytes([_SERIAL, _INSTANCE, _ENCRYPTED_AND_AUTHENTICATED, 0, 0, 0])
        answer = await self._ask(_ACTIVATE, options)
        code, data = answer
        if code == _ALREADY_ACTIVE:
            raise ConsoleTaken
        if code or len(data) < 12:  # noqa: PLR2004 - section 24.1
            raise BmcUnsupported
        return max(1, int.from_bytes(data[4:6], "little") - _HEADER_BYTES)

    async def _deactivate(self) -> None:
        with suppress(BmcUnreachable):
            await self._ask(_DEACTIVATE, bytes([_SERIAL, _INSTANCE, 0, 0, 0, 0]))

    async def _ask(self, command: int, data: bytes) -> tuple[int, bytes]:
        for _ in range(_ASK_TIMES):
            try:
                answer = await self._session.ask(_APPLICATION, command, data, seconds=_ASK_SECONDS)
            except Unanswered:
                continue
            except NotSent:
                break
            return answer.code, answer.data
        raise BmcUnreachable

    def _take(self, payload: object) -> None:
        """What comes from the BMC."""
        packet = Packet.read(bytes(payload)) if isinstance(payload, (bytes, bytearray)) else None
        if packet is None:
            self._end()
            return
        if packet.acknowledged and not self._acknowledged.full():
            self._acknowledged.put_nowait(packet)
        if self._came.full():
            return  # not acknowledged: it comes again
        if packet.number:
            answer = Packet(0, packet.number, min(len(packet.data), 255), 0, b"")
            with suppress(NotSent):
                self._session.send_serial(answer.packed())
        if packet.number or packet.status & _DEACTIVATED:
            self._came.put_nowait(packet)

    def _end(self) -> None:
        if not self._came.full():
            self._came.put_nowait(None)

    async def _next(self) -> Packet | None:
        while True:
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    return await self._came.get()
            except TimeoutError:
                code, data = await self._ask(_STATUS, bytes([_SERIAL]))
                if code or len(data) < 2 or not data[1] & 1:  # noqa: PLR2004 - instance 1 is active
                    return None

    def _new_data(self, packet: Packet) -> bytes:
        """What of a packet was not there before: one that comes again may have grown."""
        again = packet.number == self._last_number
        known = self._last_length if again else 0
        self._last_number, self._last_length = packet.number, max(known, len(packet.data))
        return packet.data[known:]

    async def _type(self, given: asyncio.Queue[bytes | None]) -> None:
        while True:
            data = await given.get()
            if data is None:
                await self._send(b"", _BREAK)
            while data:
                data = data[await self._send(data[: self._most], 0) :]

    async def _send(self, data: bytes, status: int) -> int:
        """Sends until it is acknowledged: how many characters the machine took."""
        self._number = self._number % 15 + 1
        packet = Packet(self._number, 0, 0, status, data)
        for _ in range(_RESENDS):
            self._session.send_serial(packet.packed())
            try:
                async with asyncio.timeout(_RESEND_SECONDS):
                    while (answer := await self._acknowledged.get()).acknowledged != self._number:
                        pass
            except TimeoutError:
                continue
            if not answer.status & _NACK:
                return len(data)
            if answer.accepted:
                return min(answer.accepted, len(data))
            await asyncio.sleep(_RESEND_SECONDS)
        raise BmcUnreachable
