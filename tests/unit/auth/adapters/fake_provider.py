"""An OpenID Connect provider that says whatever a test wants it to."""

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import RSAKey

DISCOVERY = "/.well-known/openid-configuration"

Claims = dict[str, Any]


@dataclass
class Answer:
    """What is answered to a request."""

    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The content: bytes as they are, everything else as JSON."""
        return (
            self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()
        )


@dataclass
class Asked:
    """A request that has come."""

    path: str
    headers: dict[str, str]
    form: dict[str, str]


def new_key(name: str) -> RSAKey:
    """A key to sign with."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig"})


def signed_with(key: RSAKey) -> Callable[[Claims], str]:
    """Signs as a provider does that has this key."""
    return lambda claims: jwt.encode({"alg": "RS256", "kid": str(key.kid)}, claims, key)


class FakeProvider:
    """It listens on loopback; as a context manager."""

    def __init__(self, key: RSAKey, claims: Claims, trust: ssl.SSLContext | None = None) -> None:
        """`claims` are those of its tokens; with `trust`, which holds its certificate, it speaks
        TLS.
        """
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if trust is not None:
            self._server.socket = trust.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if trust is None else "https"
        self.issuer = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self.key = key
        self.sign = signed_with(key)
        self.claims = {"iss": self.issuer, **claims}
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=a%20b",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        }
        self.userinfo: Any = {}
        self.answers: dict[str, Answer] = {}
        """What is answered instead, by path."""
        self.stalled = threading.Event()
        """Whether it takes requests and answers none."""
        self.asked: list[Asked] = []
        self._over = threading.Event()

    def requests(self, path: str) -> list[Asked]:
        """The requests that have come for a path."""
        return [each for each in self.asked if each.path == path]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str) -> Answer:
        if path in self.answers:
            return self.answers[path]
        if path == DISCOVERY:
            return Answer(self.metadata)
        if path == "/jwks":
            return Answer({"keys": [self.key.as_dict(private=False)]})
        if path == "/token":
            tokens = {"token_type": "Bearer", "expires_in": 300, "access_token": "an access token"}
            return Answer({**tokens, "id_token": self.sign(self.claims)})
        if path == "/userinfo":
            return Answer(self.userinfo)
        return Answer(status=404)

    def _handler(fake) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length", 0))
                form = parse_qs(self.rfile.read(length).decode())
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.path, headers, {name: form[name][0] for name in form})
                fake.asked.append(asked)
                if fake.stalled.is_set():
                    fake._over.wait()
                    return
                answer = fake._answer(self.path)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_POST = do_GET  # noqa: N815 - as http.server names it

            def log_message(self, *_: Any) -> None:
                """Nothing is printed."""

        return Handler
