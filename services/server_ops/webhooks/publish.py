"""Telling an account's webhooks of something."""

from collections.abc import Callable, Mapping

from services.runtime.clock import Clock
from services.server_ops.webhooks.delivery import Deliveries
from services.server_ops.webhooks.event import Event, EventType


class Publish:
    """Publishes events that are in no transaction of an operation's."""

    def __init__(
        self, deliveries: Deliveries, clock: Clock, new_event_id: Callable[[], str]
    ) -> None:
        self._deliveries = deliveries
        self._clock = clock
        self._new_event_id = new_event_id

    async def __call__(
        self, account: str, kind: "EventType.ValueType", data: Mapping[str, str]
    ) -> None:
        """Keeps the event, which happened now, for every webhook of the account that wants it.

        The data of a server's event is {server, power?, reachability?}, of an address's {server,
        ip, …}.
        """
        event = Event(self._new_event_id(), account, kind, self._clock(), data)
        await self._deliveries.publish(event)
