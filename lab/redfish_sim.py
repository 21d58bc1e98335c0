"""sushy-tools' emulator as one Redfish BMC on loopback, behind what it lacks.

The emulator has the machine, its chassis and its manager. In front of it stand TLS, a session
service, an event log and the time of the last reset, and here requests can be lost.
"""

import base64
import http.client
import json
import secrets
import ssl
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import ca
from lab.ports import HOST, free_port, wait_for_listener
from lab.process import Process

READY_SECONDS = 20.0

SYSTEM = "27946b59-9e44-4fa7-8e91-f3527a1ef094"

_EMULATOR = """\
import random, sys
random.randint = lambda low, high: low  # or it takes up to 11 s over a change of power
from sushy_tools.emulator.main import main
sys.exit(main())
"""

_CONFIG = """\
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_STATE_DIR = {state!r}
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    {{"uuid": {system!r}, "name": "node", "power_state": "On", "nics": []}}
]
"""

_SESSIONS = "/redfish/v1/SessionService/Sessions"
_LOGS = f"/redfish/v1/Systems/{SYSTEM}/LogServices"
_RESET = "/Actions/ComputerSystem.Reset"
_FIRST_RESET = datetime(2026, 1, 1, tzinfo=UTC)


class RedfishSim:
    """One simulated BMC; as a context manager, answering inside and gone after."""

    def __init__(
        self,
        folder: Path,
        username: str = "admin",
        password: str = "not-a-secret",  # noqa: S107 - a simulator's
    ) -> None:
        """Needs a folder of its own. The machine is on at first."""
        self.address = HOST
        self.username = username
        self.password = password
        self.port = free_port()
        self.trust = folder / "tls" / "ca.pem"
        """Whose certificate it has."""
        self.has_sessions = True
        """Whether there is a session service; else it takes HTTP Basic alone."""
        self.log: list[dict[str, Any]] = []
        """Entries of the event log, as LogEntry of DSP0268."""
        self.lose_command = False
        """A reset is not done and not answered."""
        self.lose_reply = False
        """A reset is done and not answered."""
        self.answer: Callable[[str, str], tuple[int, bytes] | None] = lambda _verb, _path: None
        """What to answer to a request instead, status and body."""
        self.requests: list[str] = []
        """Verb and path of all that came, in order."""
        self.tokens: set[str] = set()
        """Of the sessions that there are."""
        self.executed = 0
        """How many resets were done."""
        self.last_reset = _FIRST_RESET
        self.well = threading.Event()
        """Cleared, it answers nothing."""
        self.well.set()
        self._folder = folder
        self._emulator_port = free_port()
        self._process: Process | None = None
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Starts it and returns when it answers."""
        folder = self._folder
        (folder / "state").mkdir(parents=True, exist_ok=True)
        ca.make(folder / "tls")
        config = folder / "emulator.conf"
        config.write_text(_CONFIG.format(state=str(folder / "state"), system=SYSTEM))
        command = [sys.executable, "-c", _EMULATOR, "--config", str(config)]
        command += ["-i", HOST, "-p", str(self._emulator_port)]
        self._process = Process("sushy-emulator", command, folder / "log", {})
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls" / "internal.pem", folder / "tls" / "internal.key")
        handler = type("Handler", (_Handler,), {"sim": self})
        self._server = ThreadingHTTPServer((HOST, self.port), handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        wait_for_listener(self._emulator_port, READY_SECONDS)

    def stop(self) -> None:
        """Ends it."""
        self.well.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._process is not None:
            self._process.stop()

    def boot(self) -> str:
        """What it was told to boot: "pxe", "disk"; empty: nothing."""
        _, content = self.ask_emulator("GET", f"/redfish/v1/Systems/{SYSTEM}", None)
        target = json.loads(content)["Boot"].get("BootSourceOverrideTarget", "")
        return {"Pxe": "pxe", "Hdd": "disk"}.get(target, "")

    def ask_emulator(self, verb: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """What the emulator says."""
        connection = http.client.HTTPConnection(HOST, self._emulator_port, timeout=10)
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(verb, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    sim: RedfishSim

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""

    def _serve(self, verb: str) -> None:
        sim, path = self.sim, self.path.rstrip("/")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        sim.requests.append(f"{verb} {path}")
        if not sim.well.is_set():
            sim.well.wait()
            return  # too late: it was not done
        if said := sim.answer(verb, path):
            self._answer(*said)
        elif path == "/redfish/v1":
            self._answer(*self._root())
        elif (verb, path) == ("POST", _SESSIONS) and sim.has_sessions:
            self._log_in(json.loads(body or b"{}"))
        elif not self._is_known():
            self._answer(401, b"{}")
        elif verb == "DELETE":
            sim.tokens.discard(path.rpartition("/")[2])
            self._answer(204, b"")
        elif path.startswith(_LOGS):
            self._answer(200, json.dumps(self._log(path)).encode())
        elif path.endswith(_RESET):
            self._reset(path, body)
        elif verb == "PATCH":
            self._answer(*sim.ask_emulator(verb, path, body))
        else:
            self._answer(*self._patched(path))

    def _root(self) -> tuple[int, bytes]:
        status, content = self.sim.ask_emulator("GET", "/redfish/v1/", None)
        root = json.loads(content)
        if self.sim.has_sessions:
            root["SessionService"] = {"@odata.id": _SESSIONS.rpartition("/")[0]}
            root["Links"] = {"Sessions": {"@odata.id": _SESSIONS}}
        return status, json.dumps(root).encode()

    def _log_in(self, told: dict[str, str]) -> None:
        if (told.get("UserName"), told.get("Password")) != (self.sim.username, self.sim.password):
            self._answer(401, b"{}")
            return
        token = secrets.token_hex(8)
        self.sim.tokens.add(token)
        headers = {"X-Auth-Token": token, "Location": f"{_SESSIONS}/{token}"}
        self._answer(201, b"{}", headers)

    def _is_known(self) -> bool:
        if self.sim.has_sessions:
            return self.headers.get("X-Auth-Token") in self.sim.tokens
        login = f"{self.sim.username}:{self.sim.password}".encode()
        return self.headers.get("Authorization") == f"Basic {base64.b64encode(login).decode()}"

    def _log(self, path: str) -> dict[str, Any]:
        if path == _LOGS:
            return {"Members": [{"@odata.id": f"{_LOGS}/Sel"}]}
        if path == f"{_LOGS}/Sel":
            return {"Entries": {"@odata.id": f"{_LOGS}/Sel/Entries"}}
        return {"Members": self.sim.log}

    def _reset(self, path: str, body: bytes | None) -> None:
        sim = self.sim
        if sim.lose_command:
            self.close_connection = True
            return
        # The emulator knows no power cycle; what it calls a restart is one.
        body = (body or b"").replace(b"PowerCycle", b"ForceRestart")
        status, content = sim.ask_emulator("POST", path, body)
        if status < http.HTTPStatus.BAD_REQUEST:
            sim.executed += 1
            now = datetime.now(UTC).replace(microsecond=0)
            sim.last_reset = max(now, sim.last_reset + timedelta(seconds=1))
        if sim.lose_reply:
            self.close_connection = True
            return
        self._answer(status, content)

    def _patched(self, path: str) -> tuple[int, bytes]:
        status, content = self.sim.ask_emulator("GET", path, None)
        if path.endswith(SYSTEM) and "/Systems/" in path:
            system = json.loads(content)
            system["LastResetTime"] = self.sim.last_reset.isoformat()
            system["LogServices"] = {"@odata.id": _LOGS}
            actions = system["Actions"]["#ComputerSystem.Reset"]
            actions["ResetType@Redfish.AllowableValues"].append("PowerCycle")
            content = json.dumps(system).encode()
        return status, content

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
