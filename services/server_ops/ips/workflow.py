"""Moving a failover address: look, route, see it routed."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from services.runtime.clock import Clock
from services.server_ops.inventory.server import Servers
from services.server_ops.ips.ip import Ips, Networks, network_of, next_hop
from services.server_ops.ips.router import Router, RouterError, Routers, RouterSilent, Routing
from services.server_ops.operations.operation import AlreadySent, Operation, mark_sent
from services.server_ops.operations.repository import Operations
from services.server_ops.operations.workflow import OperationFailed, Run, failed

STEPS = (
    "check the router and where it sends the address",
    "route the address to the new server",
    "see the router send it there",
)

LOOK_SECONDS = 1.0
"""Between two such questions."""


class MoveAddress:
    """What an operation of the kind IP_MOVE does. That the address is free to move was seen to when
    it was accepted, and what the inventory says changes with its success: see store/ips.
    """

    def __init__(
        self,
        servers: Servers,
        operations: Operations,
        ips: Ips,
        networks: Networks,
        routers: Routers,
        *,
        routing: Routing,
        see_seconds: float,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """A router that does not answer is asked for `see_seconds` what came of a move."""
        self._servers = servers
        self._operations = operations
        self._ips = ips
        self._networks = networks
        self._routers = routers
        self._routing = routing
        self._see_seconds = see_seconds
        self._clock = clock
        self._monotonic = monotonic

    async def __call__(self, run: Run) -> Mapping[str, str]:
        """See workflow.Act: where the address was and is, and the `next_hop` that was seen."""
        came_from = await run.step(0, self._check)
        await run.step(1, self._route)
        seen = await run.step(2, self._see)
        return {
            "ip": run.parameters["ip"],
            "from": came_from,
            "to": run.server,
            "next_hop": seen,
            "move_time": self._clock().isoformat(),
        }

    async def _check(self, operation: Operation, _index: int) -> str:
        ip = operation.parameters["ip"]
        found = await self._ips.find(ip)
        if found is None:
            raise failed("INTERNAL", "The address is no longer in the inventory.")
        router, _ = await self._way(operation)
        try:
            await self._routing.next_hop(router, ip)
        except RouterError as error:
            raise _router_failed(router, error) from None
        return found.hostname

    async def _route(self, operation: Operation, index: int) -> None:
        router, hop = await self._way(operation)
        # Sent already is sent before a crash: the same route again is the same route.
        with suppress(AlreadySent):
            await self._operations.update(
                operation.id, lambda o: mark_sent(o, index, self._clock())
            )
        try:
            await self._routing.route(router, operation.parameters["ip"], hop)
        except RouterSilent:
            return  # The next step sees what came of it.
        except RouterError as error:
            raise _router_failed(router, error) from None

    async def _see(self, operation: Operation, _index: int) -> str:
        router, hop = await self._way(operation)
        until = self._monotonic() + self._see_seconds
        while True:
            try:
                seen = await self._routing.next_hop(router, operation.parameters["ip"])
            except RouterError as error:
                if self._monotonic() >= until:
                    text = (
                        f"The router was told once, and does not say where it sends the address: "
                        f"{error} It may or may not have moved; ask for the move again."
                    )
                    raise failed("OUTCOME_UNKNOWN", text, router=router.name) from None
                await asyncio.sleep(LOOK_SECONDS)
                continue
            if seen != hop:
                text = f"It sends the address to {seen or 'nowhere'}, and not to {hop}."
                raise _router_failed(router, text)
            return hop

    async def _way(self, operation: Operation) -> tuple[Router, str]:
        """The router, and where it is to send the address. Raises OperationFailed."""
        ip = operation.parameters["ip"]
        network = network_of(await self._networks.all(), ip)
        router = await self._routers.find(network.router) if network else None
        view = await self._servers.find(operation.server)
        hop = next_hop(view.server, ip) if view else None
        if router is None or hop is None:
            text = "The address, its router or the server is no longer in the inventory."
            raise failed("INTERNAL", text)
        return router, hop


def _router_failed(router: Router, why: object) -> OperationFailed:
    text = f"The router {router.name} did not move the address. {why}"
    return failed("ROUTER_FAILED", text, router=router.name)
