"""Serial over LAN, IPMI 2.0 section 15, on a session that is there already."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from services.server_ops.adapters.bmc.ipmi.session import IpmiSession, NotSent, Unanswered
from services.server_ops.bmc.console import Output
from services.server_ops.bmc.errors import BmcUnreachable, BmcUnsupported, ConsoleTaken

_APPLICATION = 0x06
_ACTIVATE, _DEACTIVATE, _INFO = 0x48, 0x49, 0x4B
"""Activate Payload, Deactivate Payload, Get Payload Instance Info: section 24.1, 24.2, 24.5."""

_SERIAL, _INSTANCE = 0x01, 0x01
_ENCRYPTED_AND_AUTHENTICATED = 0xC0

_ALREADY_ACTIVE, _DISABLED = 0x80, 0x81
"""Completion codes of Activate Payload, table 24-2."""

_ASK_SECONDS, _ASK_TIMES = 1.0, 4

_RESEND_SECONDS, _RESENDS = 0.5, 7
"""How long an acknowledgement is waited for, and how often data is sent again before the console is
taken for lost. Section 15.11 leaves both to us; data that was sent again is told by its number."""

_QUIET_SECONDS = 4.0
"""After so long without a word the BMC is asked whether the console is still ours."""

_BREAK = 0x10
"""A bit of the fourth byte of ours: generate break, table 15-2."""

_NACK, _DEACTIVATED, _OVERRUN = 0x40, 0x10, 0x08
"""Bits of the fourth byte of the BMC's, table 15-2: refused; deactivated; what the machine wrote
came faster than it left."""

_HEADER_BYTES = 4
_NUMBERS = 15
"""Packets are numbered 1 to 15, and from 1 again."""
_PACKETS = 1024
"""So many wait for a slow reader, some 20 s of 115,200 baud. Further ones are lost."""


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
        self._came: asyncio.Queue[Output | None] = asyncio.Queue(_PACKETS)
        self._acknowledged: asyncio.Queue[Packet] = asyncio.Queue(_PACKETS)
        self._last = Packet(0, 0, 0, 0, b"")
        self._lost = False
        """Whether something was lost after what was kept last."""
        self._number = 0
        self._most = 0

    async def attach(self, *, take_over: bool) -> None:
        """Activate Payload; with `take_over`, from whoever has it.

        Raises BmcUnsupported, ConsoleTaken and BmcUnreachable.
        """
        code, data = await self._activate()
        if code == _ALREADY_ACTIVE and take_over:
            await self._deactivate()
            code, data = await self._activate()
        if code == _ALREADY_ACTIVE:
            raise ConsoleTaken
        if code or len(data) < 12:  # noqa: PLR2004 - section 24.1
            raise BmcUnsupported
        # The most characters that a packet to the BMC may bear.
        self._most = max(1, int.from_bytes(data[4:6], "little") - _HEADER_BYTES)
        self._session.take_serial(self._take)

    async def next(self) -> Output | None:
        """What the machine wrote next; None when the BMC or `end` ended it.

        Raises BmcUnreachable, and ConsoleTaken when another session took it.
        """
        while True:
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    return await self._came.get()
            except TimeoutError:
                if not await self._is_active():
                    return None

    async def type(self, given: Callable[[], Awaitable[bytes | None]]) -> None:
        """Types what is given, for ever; None is a break. Raises BmcUnreachable and NotSent."""
        while True:
            data = await given()
            if data is None:
                await self._send(b"", _BREAK)
            while data:
                data = data[await self._send(data[: self._most], 0) :]

    def end(self) -> None:
        """Makes `next` answer that it has ended."""
        while self._came.full():
            self._came.get_nowait()
        self._came.put_nowait(None)

    async def detach(self) -> None:
        """Deactivate Payload: the console is free for the next."""
        self._session.take_serial(None)
        with suppress(BmcUnreachable):
            await self._deactivate()

    async def _activate(self) -> tuple[int, bytes]:
        options = bytes([_SERIAL, _INSTANCE, _ENCRYPTED_AND_AUTHENTICATED, 0, 0, 0])
        return await self._ask(_ACTIVATE, options)

    async def _deactivate(self) -> None:
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
            self.end()
            return
        if packet.acknowledged and not self._acknowledged.full():
            self._acknowledged.put_nowait(packet)
        if packet.number:
            # Whether there is room or not: a BMC whose packets are not acknowledged may hang.
            answer = Packet(0, packet.number, min(len(packet.data), 255), 0, b"")
            with suppress(NotSent):
                self._session.send_serial(answer.packed())
            self._keep(packet)
        if packet.status & _DEACTIVATED:
            self.end()

    def _keep(self, packet: Packet) -> None:
        last, self._last = self._last, packet
        data = packet.data
        if packet.number == last.number:
            data = data[len(last.data) :]  # it comes again, and may have grown
        elif last.number and packet.number != last.number % _NUMBERS + 1:
            self._lost = True
        self._lost = self._lost or bool(packet.status & _OVERRUN)
        if self._came.full():
            self._lost = True
        elif data or self._lost:
            self._came.put_nowait(Output(data, lost=self._lost))
            self._lost = False

    async def _is_active(self) -> bool:
        """Whether the BMC has not ended it. Raises ConsoleTaken when it is another session's."""
        code, data = await self._ask(_INFO, bytes([_SERIAL, _INSTANCE]))
        holder = int.from_bytes(data[:4], "little")
        if not code and holder not in {0, self._session.number}:
            raise ConsoleTaken
        return bool(code or holder)  # a BMC that does not say so

    async def _send(self, data: bytes, status: int) -> int:
        """Sends until it is acknowledged: how many characters the machine took."""
        self._number = self._number % _NUMBERS + 1
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
