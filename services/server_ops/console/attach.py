"""Attaching the serial console of a server, for the account that it belongs to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.runtime.places import Places
from services.server_ops.bmc.console import Console
from services.server_ops.bmc.driver import Bmc
from services.server_ops.bmc.errors import BmcError
from services.server_ops.inventory.server import Servers, bmc_of
from services.server_ops.ipmi.refusals import refusal

CONSOLES, CONSOLES_OF_ONE = 200, 8


class AttachConsole:
    """Attaches consoles, a bounded number of them."""

    def __init__(self, servers: Servers, bmc: Bmc) -> None:
        self._servers = servers
        self._bmc = bmc
        self._places = Places("serial consoles are attached", CONSOLES, CONSOLES_OF_ONE)

    @asynccontextmanager
    async def __call__(
        self, hostname: str, account: str, reader: str, *, take_over: bool
    ) -> AsyncIterator[Console]:
        """The console, attached inside.

        Raises ApiError: SERVER_NOT_GRANTED, CONSOLE_TAKEN, OVERLOADED, BMC_UNREACHABLE,
        BMC_AUTH_FAILED, BMC_UNSUPPORTED; inside, of what the console raises, too.
        """
        endpoint = await bmc_of(self._servers, hostname, account)
        with self._places.one(reader):
            try:
                async with self._bmc.console(endpoint, take_over=take_over) as console:
                    yield console
            except BmcError as error:
                raise refusal(hostname, error) from None
