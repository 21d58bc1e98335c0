"""One BMC over Redfish (DMTF DSP0266), by sushy, inside a worker process. One call at a time.

sushy is synchronous: each call runs in a thread, whose requests have deadlines of their own.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

import sushy
from sushy import auth, exceptions
from sushy.resources.system.constants import (
    BootSource,
    BootSourceOverrideEnabled,
    BootSourceOverrideMode,
)
from sushy.resources.system.system import System

from services.server_ops.adapters.bmc.redfish.log import Record, read_record, read_time
from services.server_ops.adapters.bmc.redfish.sensors import read_power, read_thermal
from services.server_ops.adapters.bmc.redfish.transport import NotSent, RedfishConnector, moment
from services.server_ops.bmc.boot import BootDevice, BootOverride
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.contact import Stage, StageResult, stages
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import (
    BmcAuthFailed,
    BmcError,
    BmcRefused,
    BmcUnreachable,
    BmcUnsupported,
    LogErased,
    Trouble,
)
from services.server_ops.bmc.event import LogCursor, LogPage
from services.server_ops.bmc.identity import Feature, Identity
from services.server_ops.bmc.observation import Observation, PowerState, RestartEvent, SelMark
from services.server_ops.bmc.sensor import Sensor

T = TypeVar("T")

_RESETS = {
    ChassisCommand.POWER_OFF: "ForceOff",
    ChassisCommand.POWER_ON: "On",
    ChassisCommand.POWER_CYCLE: "PowerCycle",
    ChassisCommand.HARD_RESET: "ForceRestart",
    ChassisCommand.SOFT_SHUTDOWN: "GracefulShutdown",
}
"""ResetType, DSP0268, of ComputerSystem.Reset."""

_SOURCES = {BootDevice.NETWORK: "Pxe", BootDevice.DISK: "Hdd"}
"""BootSource, DSP0268, of ComputerSystem."""

_SYSTEM_BOOT = 0x1D
"""IPMI's sensor type for a start of the system, which a new LastResetTime stands for."""

_MAX_RECORDS = 1000
"""Of an event log, so many records are read."""

_READ_SECONDS = 10.0
"""How long what one call reads may take in all."""

_THREADS = 64
_threads = ThreadPoolExecutor(_THREADS, "redfish")
"""A BMC that hangs holds one until its request is late."""


class _Login(auth.AuthBase):  # type: ignore[misc]
    """A session where the BMC has a session service, else HTTP Basic. One try, never another."""

    token_uri: str | None = None

    def _do_authenticate(self) -> None:
        if not _link(self._root_resource.json, "SessionService") and not _link(
            self._root_resource.json, "Links", "Sessions"
        ):
            self._connector.set_http_basic_auth(self._username, self._password)
            return
        token, self.token_uri = self._root_resource.create_session(self._username, self._password)
        self._connector.set_http_session_auth(token)

    def can_refresh_session(self) -> bool:
        return False

    def log_out(self) -> None:
        """Deletes the session."""
        uri, self.token_uri = self.token_uri, None
        if uri is not None:
            with suppress(exceptions.SushyError, NotSent):
                self._connector.delete(uri)
        self._connector.close()


class _Session:
    """Logged in, and the one system found."""

    def __init__(self, login: _Login, root: sushy.Sushy, system: System) -> None:
        self.login = login
        self.root = root
        self.system = system

    def get(self, path: str) -> dict[str, Any]:
        """A resource. Raises what `_told` knows."""
        answer: dict[str, Any] = self.root._conn.get(path).json()  # noqa: SLF001 - sushy has no other
        return answer


class RedfishBmc:
    """One BMC and the session with it, which is made when it is needed."""

    attached = False
    """Redfish has no serial console of its own."""

    def __init__(self, endpoint: BmcEndpoint, trust: bool | str) -> None:
        """`trust`: the file of the authorities that sign BMCs' certificates; True: the system's;
        False: whoever answers is believed.
        """
        self.endpoint = endpoint
        self.trouble = Trouble.NO_ANSWER
        self._trust = trust
        self._session: _Session | None = None

    async def power(self) -> PowerState:
        """Whether the machine has power."""
        return await self._read(lambda session: _power(_fresh(session)))

    async def observe(self, since: SelMark | None) -> Observation:
        """Looks at the machine. The time of its last reset stands for an event log."""

        def look(session: _Session) -> Observation:
            system = _fresh(session)
            reset = _epoch(system.get("LastResetTime"))
            events: tuple[RestartEvent, ...] = ()
            if since and reset and reset > (since.last_record or 0):
                events = (RestartEvent(reset, _SYSTEM_BOOT, reset),)
            mark = SelMark(reset, 0) if "LastResetTime" in system else None
            return Observation(_power(system), None, mark, events)

        return await self._read(look)

    async def prepare(self) -> None:
        """Logs in, and makes sure that the session lives."""
        await self.power()

    async def send_once(self, command: ChassisCommand, seconds: float) -> CommandOutcome:
        """Sends a reset in one POST, and waits so long for its answer.

        There must be a session, see `prepare`. Raises BmcRefused, BmcUnsupported, and
        BmcUnreachable when the command did not leave or was not let in.
        """
        session = self._session
        if session is None:
            raise BmcUnreachable
        action = session.system.json.get("Actions", {}).get("#ComputerSystem.Reset", {})
        allowed = action.get("ResetType@Redfish.AllowableValues")
        reset = _RESETS[command]
        if "target" not in action or (allowed is not None and reset not in allowed):
            raise BmcUnsupported

        until = time.monotonic() + seconds

        def send() -> CommandOutcome:
            with moment(until):
                try:
                    session.root._conn.post(action["target"], data={"ResetType": reset})  # noqa: SLF001
                except NotSent:
                    raise BmcUnreachable from None
                except exceptions.ConnectionError:
                    return CommandOutcome.UNKNOWN
                except exceptions.AccessError:
                    self.drop()  # the session has ended: it was not done
                    raise BmcUnreachable from None
                except exceptions.ServerSideError:
                    return CommandOutcome.UNKNOWN
                except exceptions.HTTPError as error:
                    raise BmcRefused(error.status_code) from None
            return CommandOutcome.ACKNOWLEDGED

        return await _in_thread(send)

    async def set_boot(self, override: BootOverride) -> None:
        """Sets the boot source override. Raises BmcRefused and BmcUnsupported."""
        enabled = "Once" if override.once else "Continuous"

        def send(session: _Session) -> None:
            try:
                session.system.set_system_boot_options(
                    target=BootSource(_SOURCES[override.device]),
                    enabled=BootSourceOverrideEnabled(enabled),
                    mode=BootSourceOverrideMode("UEFI" if override.uefi else "Legacy"),
                )
            except exceptions.BadRequestError as error:
                raise BmcRefused(error.status_code) from None

        await self._read(send)

    async def identify(self) -> Identity:
        """What the BMC is, and what it is seen to have."""

        def look(session: _Session) -> Identity:
            system = _fresh(session)
            manager = _first(session, "Managers")
            features = set()
            if _log_of(session) is not None:
                features.add(Feature.EVENT_LOG)
            if any(True for _ in _chassis(session)):
                features.add(Feature.SENSORS)
            return Identity(
                firmware=_said(manager, "FirmwareVersion"),
                manufacturer=_said(manager, "Manufacturer") or _said(system, "Manufacturer"),
                product=_said(manager, "Model") or _said(system, "Model"),
                version=_said(session.root.json, "RedfishVersion"),
                guid=_said(system, "UUID"),
                features=frozenset(features),
            )

        return await self._read(look)

    async def sensors(self) -> tuple[Sensor, ...]:
        """Every sensor of the system's chassis. Raises BmcUnsupported."""

        def look(session: _Session) -> tuple[Sensor, ...]:
            found: list[Sensor] = []
            for chassis in _chassis(session):
                for link, read in (("Thermal", read_thermal), ("Power", read_power)):
                    if path := _link(chassis, link):
                        with suppress(exceptions.ResourceNotFoundError):
                            found += read(session.get(path))
            if not found:
                raise BmcUnsupported
            return tuple(found)

        return await self._read(look)

    async def events(self, after: LogCursor | None, limit: int) -> LogPage:
        """Records of the event log, the oldest first. Raises BmcUnsupported and LogErased.

        A record's number is its place. The log is another when its oldest record is.
        """

        def look(session: _Session) -> LogPage:
            path = _log_of(session)
            if path is None:
                raise BmcUnsupported
            records = sorted(_records(session, path), key=lambda each: each.whole)
            first = records[0].whole if records else 0
            if after is not None and after.erased != first:
                raise LogErased
            begin = after.record if after else 0
            end = begin + limit
            return LogPage(
                events=tuple(
                    each.event(number) for number, each in enumerate(records[begin:end], begin + 1)
                ),
                following=LogCursor(end, first) if end < len(records) else None,
                total=len(records),
                clock_offset_seconds=0.0,  # its times bear their zone
            )

        return await self._read(look)

    async def test(self, seconds: float) -> tuple[StageResult, ...]:
        """Reaches the BMC anew, stage by stage, each within the time that is left."""
        self.drop()
        begin = time.monotonic()
        reached: dict[Stage, float] = {}
        wrong = False

        def look() -> None:
            with moment(begin + seconds):
                session = self._log_in(lambda stage: reached.setdefault(stage, time.monotonic()))
                session.login.log_out()

        try:
            await _in_thread(look)
        except BmcAuthFailed:
            wrong = True
        except BmcError:
            pass
        return stages(reached, begin, wrong=wrong)

    async def attach(self, _take_over: bool) -> NoReturn:
        """Raises BmcUnsupported."""
        raise BmcUnsupported

    def drop(self) -> None:
        """Gives the BMC its session back, without waiting for it."""
        session, self._session = self._session, None
        if session is not None:
            _threads.submit(_close, session)

    async def _read(self, look: Callable[[_Session], T]) -> T:
        """Reads, and logs in before when there is no session, or it has ended over there."""
        until = time.monotonic() + _READ_SECONDS

        def read() -> T:
            with moment(until):
                if self._session is not None:
                    try:
                        return _told(lambda: look(self._session))  # type: ignore[arg-type]
                    except BmcAuthFailed:
                        self._session = None
                self._session = self._log_in()
                return _told(lambda: look(self._session))  # type: ignore[arg-type]

        return await _in_thread(read)

    def _log_in(self, reached: Callable[[Stage], object] = lambda _stage: None) -> _Session:
        """Raises BmcAuthFailed, BmcUnsupported and BmcUnreachable."""
        endpoint = self.endpoint
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        url = f"https://{host}:{endpoint.port}"
        conn = RedfishConnector(url, self._trust)
        login = _Login(endpoint.username.decode(), endpoint.password.decode())

        def log_in() -> _Session:
            conn.get("/redfish/v1/")
            reached(Stage.PING)
            root = sushy.Sushy(url, auth=login, connector=conn, public_connector=conn)
            reached(Stage.SESSION)
            try:
                system = root.get_system()
            except exceptions.UnknownDefaultError:
                raise BmcUnsupported from None  # several systems: which one is ours?
            reached(Stage.PASSWORD)
            return _Session(login, root, system)

        try:
            return _told(log_in)
        except BmcAuthFailed:
            reached(Stage.SESSION)  # it looked at the login
            raise
        except BmcError:
            login.log_out()
            raise


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work)


def log_out_everywhere() -> None:
    """Waits until every session is given back. For the end of the process."""
    _threads.shutdown(wait=True)


def _close(session: _Session) -> None:
    with moment(time.monotonic() + _READ_SECONDS):
        session.login.log_out()


def _told(work: Callable[[], T]) -> T:
    """Does it, and tells what fails in our words: sushy's may hold anything."""
    try:
        return work()
    except exceptions.AccessError:
        raise BmcAuthFailed from None
    except (exceptions.ConnectionError, exceptions.ServerSideError, NotSent):
        raise BmcUnreachable from None
    except exceptions.MissingXAuthToken:
        raise BmcUnreachable(Trouble.NO_FREE_SESSION) from None
    except (exceptions.SushyError, ValueError, KeyError, TypeError, AttributeError):
        raise BmcUnsupported from None  # it speaks another Redfish than we do


def _fresh(session: _Session) -> dict[str, Any]:
    session.system.refresh(force=True)
    system: dict[str, Any] = session.system.json
    return system


def _power(system: dict[str, Any]) -> PowerState:
    match system.get("PowerState"):
        case "On" | "PoweringOff":
            return PowerState.ON
        case "Off" | "PoweringOn":
            return PowerState.OFF
        case _:
            return PowerState.UNKNOWN


def _first(session: _Session, collection: str) -> dict[str, Any]:
    """The first member of a collection of the service root; empty when there is none."""
    path = _link(session.root.json, collection)
    members = session.get(path).get("Members", []) if path else []
    return session.get(members[0]["@odata.id"]) if members else {}


def _chassis(session: _Session) -> Iterator[dict[str, Any]]:
    for link in session.system.json.get("Links", {}).get("Chassis", []):
        yield session.get(link["@odata.id"])


def _log_of(session: _Session) -> str | None:
    """The entries of the log that says what happened to the hardware."""
    for holder in (session.system.json, _first(session, "Managers")):
        if path := _link(holder, "LogServices"):
            for member in session.get(path).get("Members", []):
                service = session.get(member["@odata.id"])
                if entries := _link(service, "Entries"):
                    return entries
    return None


def _records(session: _Session, path: str) -> Iterator[Record]:
    count = 0
    following: str | None = path
    while following and count < _MAX_RECORDS:
        page = session.get(following)
        for member in page.get("Members", []):
            count += 1
            yield read_record(member if "Created" in member else session.get(member["@odata.id"]))
        following = page.get("Members@odata.nextLink")


def _link(resource: dict[str, Any], *names: str) -> str | None:
    value: Any = resource
    for name in (*names, "@odata.id"):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def _said(resource: dict[str, Any], name: str) -> str:
    value = resource.get(name)
    return value if isinstance(value, str) else ""


def _epoch(text: object) -> int | None:
    time = read_time(text)
    return int(time.timestamp()) if time else None
