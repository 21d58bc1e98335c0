"""A server and clients of ours, which know one another by their certificates: over real TLS."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509

from lab import ca
from lab.ports import free_port
from services.runtime import mutual_tls, server
from services.runtime.certificates import EDGE, read, service_uri
from services.runtime.interceptors import Layers

PATH = "/test.Service/Ask"
TALK = "/test.Service/Talk"

NOW = datetime.now(UTC)


class Asked:
    """What auth was asked, and by whom."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.seen: list[dict[str, Any]] = []

    def channel(self, as_: str = "edge", service: str = "auth") -> grpc.aio.Channel:
        return mutual_tls.channel(self.folder / as_, service, self.address)

    @property
    def uris(self) -> list[str]:
        return [each["peer_spiffe_id"][0].decode() for each in self.seen]

    def issuer(self) -> x509.Name:
        [pem] = self.seen[-1]["x509_pem_cert"]
        return x509.load_pem_x509_certificate(pem).issuer

    async def answer(self, request: bytes, context: Any) -> bytes:
        self.seen.append(dict(context.auth_context()))
        return request

    async def talk(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        self.seen.append(dict(context.auth_context()))
        async for request in requests:
            yield request


@pytest.fixture
def authority(tmp_path: Path) -> ca.Authority:
    return ca.replace_services(tmp_path, NOW)


@pytest.fixture
async def auth(authority: ca.Authority, tmp_path: Path) -> AsyncIterator[Asked]:
    asked = Asked(tmp_path)
    server = grpc.aio.server()
    methods = {
        "Ask": grpc.unary_unary_rpc_method_handler(asked.answer),
        "Talk": grpc.stream_stream_rpc_method_handler(asked.talk),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.Service", methods),)
    )
    server.add_secure_port(asked.address, mutual_tls.server_credentials(tmp_path / "auth"))
    await server.start()
    yield asked
    await server.stop(None)


def asking(channel: grpc.aio.Channel) -> Callable[[bytes], Any]:
    method: Any = channel.unary_unary(PATH)  # type: ignore[call-arg]
    return lambda request: method(request, timeout=10)


async def is_refused(channel: grpc.aio.Channel) -> bool:
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asking(channel)(b"?")
        return refused.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_each_knows_the_other(auth: Asked) -> None:
    async with auth.channel() as edge, auth.channel("security") as security:
        assert await asking(edge)(b"1") == b"1"
        assert await asking(security)(b"2") == b"2"
    assert auth.uris == [EDGE, service_uri("security")]
    assert auth.seen[0]["ssl_tls_version"] == [b"TLSv1.3"]


async def test_a_server_that_is_another_service_is_not_spoken_to(auth: Asked) -> None:
    assert await is_refused(auth.channel(service="server_ops"))
    assert auth.seen == []


async def test_who_shows_nothing_or_something_foreign_is_refused(
    auth: Asked, tmp_path: Path
) -> None:
    shown = read(tmp_path / "edge", NOW)
    assert await is_refused(grpc.aio.insecure_channel(auth.address))
    nothing = grpc.ssl_channel_credentials(shown.authorities)
    options = mutual_tls.expecting("auth")
    assert await is_refused(grpc.aio.secure_channel(auth.address, nothing, options))
    ca.make_services(tmp_path / "foreign")
    ca.trust(tmp_path / "foreign" / "edge")
    (tmp_path / "foreign" / "edge" / "services-ca.pem").write_bytes(shown.authorities)
    assert await is_refused(mutual_tls.channel(tmp_path / "foreign" / "edge", "auth", auth.address))
    assert auth.seen == []


async def test_a_certificate_of_the_edge_is_good_for_no_server(
    authority: ca.Authority, tmp_path: Path
) -> None:
    """Who takes the edge's key cannot pose as a service to another one."""
    server = grpc.aio.server()
    address = f"127.0.0.1:{free_port()}"
    server.add_secure_port(address, mutual_tls.server_credentials(tmp_path / "edge"))
    await server.start()
    assert await is_refused(mutual_tls.channel(tmp_path / "security", "auth", address))
    await server.stop(None)


async def test_a_renewed_certificate_is_shown_from_the_next_call_on(
    auth: Asked, authority: ca.Authority, tmp_path: Path
) -> None:
    async with auth.channel("security") as channel:
        ask = asking(channel)
        await ask(b"?")
        await ask(b"?")
        authority.issue_part(tmp_path / "security", "security")
        await ask(b"?")
    first, second, third = (each["x509_pem_cert"] for each in auth.seen)
    assert first == second != third


async def test_calls_under_way_go_on_when_a_certificate_is_renewed(
    auth: Asked, authority: ca.Authority, tmp_path: Path
) -> None:
    async with auth.channel("security") as channel:
        talk = channel.stream_stream(TALK)()  # type: ignore[call-arg]
        await talk.write(b"before")
        assert await talk.read() == b"before"
        authority.issue_part(tmp_path / "security", "security")
        assert await asking(channel)(b"?") == b"?"
        await talk.write(b"after")
        assert await talk.read() == b"after"
        await talk.done_writing()
        assert await talk.code() == grpc.StatusCode.OK


async def test_a_new_authority_takes_over_by_trust_that_overlaps(
    auth: Asked, authority: ca.Authority, tmp_path: Path
) -> None:
    new = ca.Authority("new", NOW)
    parts = ("auth", "security")
    shown = read(tmp_path / "security", NOW)
    over = asyncio.Event()

    async with auth.channel("security") as channel:

        async def ask_on() -> int:
            asked = 0
            while not over.is_set():
                await asking(channel)(b"?")
                asked += 1
            return asked

        async with asyncio.TaskGroup() as group:
            asking_on = group.create_task(ask_on())
            for part in parts:
                ca.trust(tmp_path / part, authority, new)
            await asking(channel)(b"?")
            for part in parts:
                new.issue_part(tmp_path / part, part)
            await asking(channel)(b"?")
            assert auth.issuer() == new.certificate.subject
            for part in parts:
                ca.trust(tmp_path / part, new)
            await asking(channel)(b"?")
            over.set()
        assert asking_on.result() > 0
    old = mutual_tls.channel_credentials(shown)
    options = mutual_tls.expecting("auth")
    assert await is_refused(grpc.aio.secure_channel(auth.address, old, options))


async def test_a_renewed_channel_is_a_channel(auth: Asked, tmp_path: Path) -> None:
    """What else a stub or a caller may ask of one."""
    async with auth.channel("security") as channel:
        assert channel.get_state(try_to_connect=True) != grpc.ChannelConnectivity.SHUTDOWN
        await channel.channel_ready()
        assert channel.get_state() == grpc.ChannelConnectivity.READY
        streamed: Any = channel.unary_stream(TALK)  # type: ignore[call-arg]
        assert [each async for each in streamed(b"?", timeout=10)] == [b"?"]
        gathered: Any = channel.stream_unary(PATH)  # type: ignore[call-arg]
        assert await gathered(iter([b"?"]), timeout=10) == b"?"


async def test_without_a_folder_it_is_in_the_clear() -> None:
    server = grpc.aio.server()
    address = f"127.0.0.1:{free_port()}"
    server.add_insecure_port(address)
    await server.start()
    async with mutual_tls.channel(None, "auth", address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 10)
    await server.stop(None)


@pytest.mark.parametrize("folder", ["edge", None])
async def test_a_service_that_is_not_there_yet_is_looked_for_about_every_second(
    authority: ca.Authority, tmp_path: Path, folder: str | None
) -> None:
    """gRPC itself would wait for longer each time: the eighth attempt comes after 43 s."""
    attempts = asyncio.Semaphore(0)

    async def not_there_yet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.release()
        writer.close()

    listening = await asyncio.start_server(not_there_yet, "127.0.0.1")
    host, port = listening.sockets[0].getsockname()
    shown = tmp_path / folder if folder else None
    async with listening, mutual_tls.channel(shown, "auth", f"{host}:{port}") as channel:
        call = channel.unary_unary(PATH)(b"?", wait_for_ready=True)  # type: ignore[call-arg]
        async with asyncio.timeout(25):
            for _ in range(8):
                await attempts.acquire()
        call.cancel()


async def test_a_connection_ends_in_time_and_its_calls_go_on(
    authority: ca.Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that who is not trusted any more cannot stay for ever."""
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 1)
    asked = Asked(tmp_path)
    peers: set[str] = set()

    async def answer(request: bytes, context: Any) -> bytes:
        peers.add(context.peer())
        return request

    methods = {"Ask": grpc.unary_unary_rpc_method_handler(answer)}
    methods["Talk"] = grpc.stream_stream_rpc_method_handler(asked.talk)
    built = server.build(Layers(), lambda _to: None)
    built.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", methods),))
    built.add_secure_port(asked.address, mutual_tls.server_credentials(tmp_path / "auth"))
    await built.start()
    async with asked.channel() as channel:
        talk = channel.stream_stream(TALK)()  # type: ignore[call-arg]
        await talk.write(b"before")
        assert await talk.read() == b"before"
        async with asyncio.timeout(20):
            while len(peers) < 3:
                assert await asking(channel)(b"?") == b"?"
        await talk.write(b"after")
        assert await talk.read() == b"after"
        await talk.done_writing()
        assert await talk.code() == grpc.StatusCode.OK
    await built.stop(None)
