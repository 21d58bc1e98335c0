"""Reads what passes a proxy: RMCP+ is decrypted with the password, so that it can be counted."""

import hashlib
import hmac
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from lab.lossy import Direction

CHASSIS_CONTROL = (0x00, 0x02)
"""Network function and command, IPMI 2.0 section 28.3."""

# Payload types, IPMI 2.0 table 13-16.
IPMI, OPEN_RESPONSE, RAKP_1, RAKP_2 = 0x00, 0x11, 0x12, 0x13
_HASHES = {1: hashlib.sha1, 3: hashlib.sha256}
"""By RAKP authentication algorithm, table 13-17."""


@dataclass(frozen=True)
class Message:
    """One IPMI message, in the order of passing."""

    direction: Direction
    netfn: int
    command: int
    data: bytes

    @property
    def is_command(self) -> bool:
        """Whether it is a chassis command, or the answer to one."""
        return (self.netfn & 0xFE, self.command) == CHASSIS_CONTROL


class Tap:
    """A LossyProxy's `drop`: records every message, also the lost ones.

    Lost are those that `lose` names, and any datagram with the probability `loss`. (What the proxy
    itself loses it does not show.)
    """

    def __init__(self, password: bytes, seed: int = 0) -> None:
        self.messages: list[Message] = []
        self.lose: Callable[[Message], bool] = lambda _message: False
        self.loss = 0.0
        self._random = random.Random(seed)
        self._password = password
        self._algorithm = hashlib.sha1
        self._rakp_1 = b""
        self._keys: list[bytes] = []
        self._lock = threading.Lock()

    def __call__(self, datagram: bytes, direction: Direction) -> bool:
        with self._lock:
            lost = self._random.random() < self.loss
            message = self._read(datagram, direction, lost=lost)
            if message is None or lost:
                if message is not None:
                    self.messages.append(message)
                return lost
            self.messages.append(message)
            return self.lose(message)

    def commands(self) -> list[Message]:
        """The chassis commands that left, each datagram for itself."""
        return [m for m in self.messages if m.is_command and m.direction is Direction.REQUEST]

    def _read(self, datagram: bytes, direction: Direction, *, lost: bool) -> Message | None:
        if len(datagram) < 16 or datagram[4] != 0x06:
            return None  # not RMCP+
        kind, payload = datagram[5] & 0x3F, datagram[16:]
        match kind if not lost else None:
            case 0x11 if payload[1] == 0:
                self._algorithm = _HASHES[payload[16]]
            case 0x12:
                self._rakp_1 = payload
            case 0x13 if payload[1] == 0:
                self._keys.append(self._key(payload))
        encrypted = kind == IPMI and datagram[5] & 0x80
        return self._decrypt(datagram, direction) if encrypted else None

    def _key(self, rakp_2: bytes) -> bytes:
        """The AES key of the session that begins: sections 13.31 and 13.32."""
        one = self._rakp_1
        told = one[8:24] + rakp_2[8:24] + one[24:25] + one[27 : 28 + one[27]]
        session = hmac.new(self._password, told, self._algorithm).digest()
        return hmac.new(session, b"\x02" * 20, self._algorithm).digest()[:16]

    def _decrypt(self, datagram: bytes, direction: Direction) -> Message:
        length = int.from_bytes(datagram[14:16], "little")
        initial, hidden = datagram[16:32], datagram[32 : 16 + length]
        for key in reversed(self._keys):
            reader = Cipher(algorithms.AES(key), modes.CBC(initial)).decryptor()
            plain = reader.update(hidden) + reader.finalize()
            body = plain[: -plain[-1] - 1]
            if len(body) >= 7 and sum(body[:3]) % 256 == 0 and sum(body[3:]) % 256 == 0:
                return Message(direction, body[1] >> 2, body[5], body[6:-1])
        raise AssertionError("a message that no key of a session seen opens")
