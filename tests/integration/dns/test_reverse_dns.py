"""The adapter for reverse DNS, with somebody between it and BIND."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import dns.asyncresolver
import dns.message
import dns.tsig
import pytest

from lab.bind import KEY_NAME, Bind
from lab.ports import HOST
from services.runtime.errors import ApiError
from services.server_ops.adapters.dns import DnsServer, ReverseDns
from services.server_ops.ptr.change import Ptrs
from services.server_ops.ptr.ptr import DnsError, DnsRefused, DnsSilent

IP = "198.18.7.9"
RECORD = "9.7.18.198.in-addr.arpa"

Answer = bytes | None
"""None: the connection is closed without one."""


@dataclass
class Between:
    """Passes questions and answers on, until it is told to meddle with updates."""

    bind: Bind
    mode: str = ""
    updates: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await _message(reader)
        update = question[2] & 0x78 == 5 << 3  # opcode UPDATE, RFC 2136 section 1.3
        if update:
            self.updates.append(question)
        answer = await self._answer(question) if update else await self._ask(question)
        if answer is not None:
            writer.write(answer)
        writer.close()

    async def _answer(self, question: bytes) -> Answer:
        match self.mode:
            case "question lost" | "answer lost" as lost:
                if lost == "answer lost":
                    await self._ask(question)
                return None
            case "half an answer":
                return (await self._ask(question))[:20]
            case "garbage":
                return struct.pack("!H", 40) + bytes(range(40))
            case "unsigned":
                keyring = {dns.name.from_text(KEY_NAME): _key(self.bind.key)}
                asked = dns.message.from_wire(question, keyring=keyring)
                made = dns.message.make_response(asked)
                made.tsig = None
                made.keyring = None
                return _framed(made.to_wire())
            case "tampered":
                answer = await self._ask(question)
                return answer[:5] + bytes([answer[5] ^ 5]) + answer[6:]
        return await self._ask(question)

    async def _ask(self, question: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, self.bind.port)
        writer.write(_framed(question))
        answer = await _message(reader)
        writer.close()
        return _framed(answer)


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with Bind(tmp_path_factory.mktemp("dns") / "bind", ["18.198.in-addr.arpa"]) as started:
        yield started


@pytest.fixture
async def between(bind: Bind) -> AsyncIterator[tuple[Between, ReverseDns]]:
    made = Between(bind)
    server = await asyncio.start_server(made.serve, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    through = reverse_dns(port, bind.key)
    await through.write(IP, None)
    made.updates.clear()
    yield made, through
    server.close()
    await server.wait_closed()


def reverse_dns(port: int, key: str) -> ReverseDns:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = []
    return ReverseDns(DnsServer(HOST, port, _key(key)), resolver, 300)


async def test_what_was_written_is_read(between: tuple[Between, ReverseDns]) -> None:
    _, through = between
    assert await through.read(IP) is None
    await through.write(IP, "mail.example.net")
    held = await through.read(IP)
    assert held
    assert (held.target, held.ttl_seconds, held.record_name) == ("mail.example.net", 300, RECORD)


@pytest.mark.parametrize(
    "mode", ["question lost", "answer lost", "half an answer", "garbage", "unsigned"]
)
async def test_an_answer_that_is_lost_or_not_signed_is_no_answer(
    between: tuple[Between, ReverseDns], mode: str
) -> None:
    meddling, through = between
    meddling.mode = mode
    with pytest.raises(DnsSilent):
        await through.write(IP, "mail.example.net")
    assert len(meddling.updates) == 1


async def test_an_answer_with_a_wrong_signature_is_not_believed(
    between: tuple[Between, ReverseDns],
) -> None:
    meddling, through = between
    meddling.mode = "tampered"
    with pytest.raises(DnsRefused):
        await through.write(IP, "mail.example.net")


async def test_a_lost_answer_is_settled_by_reading(between: tuple[Between, ReverseDns]) -> None:
    meddling, through = between
    ptrs = Ptrs(through, forward_required=False)
    meddling.mode = "question lost"
    with pytest.raises(ApiError, match="It holds what it did before"):
        await ptrs.set(IP, "mail.example.net")
    assert await through.read(IP) is None
    meddling.mode = "answer lost"
    assert (await ptrs.set(IP, "mail.example.net")).ptr.target == "mail.example.net"
    assert len(meddling.updates) == 2


async def test_a_wrong_key_changes_nothing(bind: Bind) -> None:
    wrong = reverse_dns(bind.port, "c29tZSBvdGhlciBrZXkgb2YgdGhlIHNhbWUgc2l6ZSE=")
    with pytest.raises(DnsRefused, match="do not agree on the key"):
        await wrong.write(IP, "evil.example.net")


async def test_a_hundred_at_once_are_all_answered(bind: Bind) -> None:
    through = reverse_dns(bind.port, bind.key)
    ips = [f"198.18.8.{number}" for number in range(100)]
    await asyncio.gather(*(through.write(ip, f"host-{ip}.example.net") for ip in ips))
    held = await asyncio.gather(*(through.read(ip) for ip in ips))
    assert [each.target for each in held if each] == [f"host-{ip}.example.net" for ip in ips]


async def test_nobody_there_is_told(between: tuple[Between, ReverseDns], bind: Bind) -> None:
    with pytest.raises(DnsError, match="cannot be reached"):
        await reverse_dns(1, bind.key).read(IP)


async def _message(reader: asyncio.StreamReader) -> bytes:
    [size] = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(size)


def _framed(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message


def _key(secret: str) -> dns.tsig.Key:
    return dns.tsig.Key(KEY_NAME, secret, "hmac-sha256")
