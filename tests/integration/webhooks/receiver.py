"""A receiver of webhooks: a real HTTP server on loopback that keeps what it gets."""

import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks.webhooks import Webhook as Verifier

PATIENCE_SECONDS = 60.0


@dataclass
class Message:
    """What came in one request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The content, by the package's own verifier."""
        return Verifier(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """Answers each request with the next of `statuses`, and with the last one from then on."""

    statuses: list[int] = field(default_factory=lambda: [204])
    location: str = ""
    answer: bytes = b""
    tls: ssl.SSLContext | None = None
    cut: bool = False
    """Whether it promises more of an answer than it sends."""
    hangs: bool = False
    """Whether it takes requests and does not answer, until this is False."""
    messages: list[Message] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/hook?x=1"

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.take(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_SECONDS)

    def take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        status = self.statuses[min(len(self.messages), len(self.statuses) - 1)]
        self.messages.append(Message(request.path, headers, body))
        while self.hangs and not self.ended.wait(0.05):
            pass
        request.send_response(status)
        if self.location:
            request.send_header("Location", self.location)
        request.send_header("Content-Length", str(len(self.answer) + self.cut))
        request.end_headers()
        request.wfile.write(self.answer)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that goes away is what some tests are about."""
