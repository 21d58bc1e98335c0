"""Asking a BMC how its machine is, and keeping what it said."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from services.runtime.clock import Clock
from services.server_ops.bmc.driver import Bmc
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcError, BmcUnsupported
from services.server_ops.bmc.identity import Identity
from services.server_ops.bmc.observation import PowerState
from services.server_ops.inventory.server import Servers
from services.server_ops.ipmi.status import (
    BmcStatus,
    BmcStatuses,
    Change,
    StatusEvent,
    contacted,
    events,
    expected,
    not_contacted,
)

Publish = Callable[[str, str, Mapping[str, str]], Awaitable[None]]
"""Tells an account of an event: its type, and what it is about."""

IDENTITY_AGE = timedelta(days=1)
"""A BMC is asked again what it is when it was not for so long: firmware is updated."""


class CheckBmc:
    """Asks, once. It never changes anything at the machine."""

    def __init__(
        self,
        servers: Servers,
        statuses: BmcStatuses,
        bmc: Bmc,
        *,
        clock: Clock,
        publish: Publish,
        failing_after: int,
    ) -> None:
        """A BMC that fails `failing_after` times in a row is told of as unreachable."""
        self._servers = servers
        self._statuses = statuses
        self._bmc = bmc
        self._clock = clock
        self._publish = publish
        self._failing_after = failing_after

    async def __call__(self, hostname: str) -> BmcStatus:
        """The status after asking. A BMC that does not answer is no error: the status says so."""
        before = await self._statuses.find(hostname)
        change = await self._ask(hostname, before)
        seen = before

        def changed(status: BmcStatus) -> BmcStatus:
            nonlocal seen
            seen = status
            return change(status)

        after = await self._statuses.update(hostname, changed)
        if after is None:
            return before
        await self._tell(hostname, after, events(seen, after, self._failing_after))
        return after

    async def expect(self, hostname: str, power: PowerState) -> None:
        """An operation left the machine with this power, which it saw."""
        await self._statuses.update(hostname, lambda s: expected(s, power, self._clock()))

    async def _ask(self, hostname: str, before: BmcStatus) -> Change:
        endpoint = await self._servers.bmc(hostname)
        if endpoint is None:
            return lambda status: status
        now = self._clock()
        identified = before.identify_time
        try:
            power = await self._bmc.power(endpoint)
            identity = None
            if identified is None or now - identified > IDENTITY_AGE:
                identity = await self._identity(endpoint)
        except BmcError as error:
            failure = error
            return lambda status: not_contacted(status, failure, self._clock())
        return lambda status: contacted(status, power, identity, self._clock())

    async def _identity(self, endpoint: BmcEndpoint) -> Identity | None:
        try:
            return await self._bmc.identify(endpoint)
        except BmcUnsupported:
            return None

    async def _tell(self, hostname: str, status: BmcStatus, told: tuple[StatusEvent, ...]) -> None:
        if not told:
            return
        view = await self._servers.find(hostname)
        if view is None:
            return
        data = {
            "server": hostname,
            "power": str(status.power),
            "reachability": str(status.reachability or ""),
        }
        for event in told:
            await self._publish(view.server.account, event, data)
