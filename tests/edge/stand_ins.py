"""What stands in for auth and the services behind the edge: real gRPC servers that record calls."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
from f2h.edge.v1 import authorization_pb2, authorization_pb2_grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2_grpc
from grpc_status import rpc_status

from lab.ports import free_port
from services.runtime.mutual_tls import server_credentials
from tests.edge.tokens import TOKEN_KEY, token_keys

GOOD_KEY = "f2h.deadbeefcafebabe.right"
PRINCIPAL = "signed-by-the-stand-in"
FETCH = "/f2h.auth.v1.TokenService/ListTokenKeys"
OWN_HOST = "edge"
"""What the edge calls itself when it fetches the keys of tokens."""

PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def status(code: int, message: str, reason: str, *more: Message, **metadata: str) -> Any:
    made = status_pb2.Status(code=code, message=message)
    made.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=reason, domain="f2hcloud", metadata=metadata)
    )
    for detail in more:
        made.details.add().Pack(detail)
    return made


def header(key: str, value: str) -> authorization_pb2.HeaderValueOption:
    return authorization_pb2.HeaderValueOption(
        header=authorization_pb2.HeaderValue(key=key, value=value),
        append_action=authorization_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def denied(refusal: Any) -> authorization_pb2.CheckResponse:
    """The form that edge/envoy.yaml describes."""
    details = base64.b64encode(refusal.SerializeToString()).decode().rstrip("=")
    return authorization_pb2.CheckResponse(
        status=refusal,
        denied_response=authorization_pb2.DeniedHttpResponse(
            status=authorization_pb2.HttpStatus(code=403),
            headers=[
                header("content-type", "application/grpc"),
                header("grpc-status", str(refusal.code)),
                header("grpc-message", quote(refusal.message, safe=PRINTABLE)),
                header("grpc-status-details-bin", details),
            ],
        ),
    )


def granted(subject: str = "") -> authorization_pb2.CheckResponse:
    """A pass; in the quota of the subject, if it has one."""
    answer = authorization_pb2.CheckResponse(
        status=status_pb2.Status(code=0),
        ok_response=authorization_pb2.OkHttpResponse(
            headers=[header("x-f2h-principal", PRINCIPAL)], headers_to_remove=["x-api-key"]
        ),
    )
    if subject:
        answer.dynamic_metadata.update({"subject": subject, "capability": "server.details"})
    return answer


REFUSAL = status(16, "Say who you are: é.", "CREDENTIAL_MISSING", example="X-API-Key")


def by_key(request: authorization_pb2.CheckRequest) -> authorization_pb2.CheckResponse:
    """GOOD_KEY passes, and so does GOOD_KEY with the name of a subject behind it."""
    key = request.attributes.request.http.headers.get("x-api-key", "")
    good, _, subject = key.partition("/")
    return granted(subject) if good == GOOD_KEY else denied(REFUSAL)


class _Server:
    """A gRPC server on a port of its own, which it keeps when it is stopped and started again."""

    def __init__(self, tls: Path) -> None:
        """`tls` is the folder of the certificate that it shows."""
        self.tls = tls
        self.credentials: Callable[[], grpc.ServerCredentials | None] = lambda: server_credentials(
            self.tls
        )
        """What it shows; None: nothing, it is spoken to in the clear."""
        self.options: Sequence[tuple[str, int]] = ()
        """Further options of its gRPC server."""
        self.address = ("127.0.0.1", free_port())
        self._server: grpc.Server | None = None

    def start(self) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(16), options=self.options)
        self.add_to(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), self._server)
        address = "{}:{}".format(*self.address)
        if credentials := self.credentials():
            assert self._server.add_secure_port(address, credentials)
        else:
            assert self._server.add_insecure_port(address)
        self._server.start()

    def stop(self) -> None:
        if self._server:
            self._server.stop(0).wait()
            self._server = None

    def add_to(self, server: grpc.Server) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Call:
    path: str
    request: bytes
    metadata: Mapping[str, str | bytes]
    seconds_left: float | None
    context: grpc.ServicerContext


def empty(call: Call) -> bytes:
    return b""


def failing(with_status: Any) -> Callable[[Call], bytes]:
    def answer(call: Call) -> bytes:
        call.context.abort_with_status(rpc_status.to_status(with_status))
        raise AssertionError

    return answer


def hanging(call: Call) -> bytes:
    ended = threading.Event()
    call.context.add_callback(ended.set)
    ended.wait(30)
    return b""


TELL = "/f2h.server_ops.v1.ConsoleService/ReadConsole"
"""Answers with a stream."""

TALK = "/f2h.server_ops.v1.ConsoleService/AttachConsole"
"""Takes a stream and answers with one."""


class Service(_Server, grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Answers every method with an empty message, unless `answer` says otherwise."""

    def __init__(self, tls: Path) -> None:
        super().__init__(tls)
        self.token_keys = token_keys(k1=TOKEN_KEY)
        self.fetches = 0
        """How often the edge itself asked for them."""
        self.reset()

    def reset(self) -> None:
        self.seen: list[Call] = []
        self.answer: Callable[[Call], bytes] = empty
        self.told: Callable[[], Iterator[bytes]] | None = None
        """What TELL answers with."""

    def add_to(self, server: grpc.Server) -> None:
        server.add_generic_rpc_handlers((self,))

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        path = details.method
        if not path.startswith("/f2h."):
            return None

        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            metadata = dict(context.invocation_metadata())
            call = Call(path, request, metadata, context.time_remaining(), context)
            if path == FETCH and "x-f2h-principal" not in metadata:
                self.fetches += 1
                return self.token_keys  # to the edge itself, whenever it asks
            self.seen.append(call)
            return self.answer(call)

        def talk(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            metadata = dict(context.invocation_metadata())
            self.seen.append(Call(path, b"", metadata, context.time_remaining(), context))
            return requests  # each one comes back at once

        if path == TALK:
            return grpc.stream_stream_rpc_method_handler(talk)
        if path == TELL and (told := self.told):
            return grpc.unary_stream_rpc_method_handler(lambda _request, _context: told())
        return grpc.unary_unary_rpc_method_handler(handle)


class Auth(_Server, authorization_pb2_grpc.AuthorizationServicer):
    """Lets GOOD_KEY pass and refuses everything else, unless `answer` says otherwise."""

    def __init__(self, tls: Path) -> None:
        super().__init__(tls)
        self.service = Service(tls)
        """KeyService and the others of auth, which answer where auth listens."""
        self.reset()

    def reset(self) -> None:
        self.seen: list[authorization_pb2.AttributeContext] = []
        self.answer: Callable[[authorization_pb2.CheckRequest], authorization_pb2.CheckResponse] = (
            by_key
        )

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.attributes.request.http.host == OWN_HOST:
            return authorization_pb2.CheckResponse(status=status_pb2.Status(code=0))
        self.seen.append(request.attributes)
        return self.answer(request)

    def add_to(self, server: grpc.Server) -> None:
        authorization_pb2_grpc.add_AuthorizationServicer_to_server(self, server)
        self.service.add_to(server)


@dataclass
class Answer:
    """What a caller was told, by REST or gRPC."""

    status: int
    """Of HTTP; 0 for gRPC."""
    headers: dict[str, str]
    body: bytes
    error: dict[str, Any] | None = None
    """The google.rpc.Status as JSON; None: the call succeeded."""

    @property
    def reason(self) -> str:
        assert self.error is not None, f"not an error: {self.status} {self.body[:200]!r}"
        infos = [
            detail
            for detail in self.error["details"]
            if detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
        ]
        assert len(infos) == 1
        assert infos[0]["domain"] == "f2hcloud"
        return str(infos[0]["reason"])


@dataclass
class Client:
    """A caller of one listener."""

    port: int
    tls: Path | None = None
    """Where ca.pem is, for a listener with TLS."""
    address: str = "127.0.0.1"
    """Where REST calls come from."""
    channel: grpc.Channel = field(init=False)

    def __post_init__(self) -> None:
        address = f"127.0.0.1:{self.port}"
        if self.tls is None:
            self.channel = grpc.insecure_channel(address)
        else:
            root = (self.tls / "ca.pem").read_bytes()
            self.channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(root))

    def connection(self) -> HTTPConnection:
        """A new connection for REST."""
        if self.tls is None:
            return HTTPConnection(
                "127.0.0.1", self.port, timeout=20, source_address=(self.address, 0)
            )
        context = ssl.create_default_context(cafile=str(self.tls / "ca.pem"))
        return HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)

    def rest(
        self,
        verb: str,
        path: str,
        *,
        key: str | None = GOOD_KEY,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A REST call; an error must be JSON google.rpc.Status."""
        connection = self.connection()
        try:
            connection.request(verb, path, body, {**_key(key), **(headers or {})})
            response = connection.getresponse()
            answer = Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()
        if answer.status not in {200, 206}:
            assert answer.headers["content-type"] == "application/json", answer
            answer.error = json.loads(answer.body)
            assert set(answer.error or {}) == {"code", "message", "details"}, answer
        return answer

    def grpc(
        self,
        path: str,
        request: bytes = b"",
        *,
        key: str | None = GOOD_KEY,
        metadata: Mapping[str, str] | None = None,
        timeout: float | None = 20,
    ) -> Answer:
        """A native gRPC call; an error must carry a google.rpc.Status that fits it."""
        call = raw(self.channel, path)
        try:
            sent = tuple({**_key(key), **(metadata or {})}.items())
            body = call(request, metadata=sent, timeout=timeout, wait_for_ready=True)
        except grpc.RpcError as error:
            told = rpc_status.from_call(error)  # type: ignore[arg-type]
            assert told is not None, error
            return Answer(0, {}, b"", json_format.MessageToDict(told))
        return Answer(0, {}, body)


def raw(channel: grpc.Channel, path: str) -> Any:
    """A method that takes and gives serialized messages."""
    return channel.unary_unary(path)  # type: ignore[call-arg]


def _key(key: str | None) -> dict[str, str]:
    return {} if key is None else {"x-api-key": key}


def eventually(check: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.02)
