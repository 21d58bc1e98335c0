"""Attaching the serial console of a server, for the account that it belongs to."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.runtime.places import Places
from services.server_ops.bmc.console import Console
from services.server_ops.bmc.driver import Bmc
from services.server_ops.bmc.errors import BmcError
from services.server_ops.inventory.server import Servers, bmc_of
from services.server_ops.ipmi.refusals import refusal

CONSOLES, CONSOLES_OF_ONE = 200, 8


@dataclass(frozen=True)
class Attachment:
    """An attached console."""

    console: Console
    is_still: Callable[[], Awaitable[bool]]
    """Whether it is still that of the server's BMC. Raises ApiError(SERVER_NOT_GRANTED) when the
    server is the account's no more."""


class AttachConsole:
    """Attaches consoles, a bounded number of them."""

    def __init__(self, servers: Servers, bmc: Bmc) -> None:
        self._servers = servers
        self._bmc = bmc
        self._places = Places("serial consoles are attached", CONSOLES, CONSOLES_OF_ONE)

    @asynccontextmanager
    async def __call__(
        self, hostname: str, account: str, reader: str, *, take_over: bool
    ) -> AsyncIterator[Attachment]:
        """The console, attached inside.

        Raises ApiError: SERVER_NOT_GRANTED, CONSOLE_TAKEN, OVERLOADED, BMC_UNREACHABLE,
        BMC_AUTH_FAILED, BMC_UNSUPPORTED; inside, of what the console raises, too.
        """
        endpoint = await bmc_of(self._servers, hostname, account)

        async def is_still() -> bool:
            return await bmc_of(self._servers, hostname, account) == endpoint

        with self._places.one(reader):
            try:
                async with self._bmc.console(endpoint, take_over=take_over) as console:
                    yield Attachment(console, is_still)
            except BmcError as error:
                raise refusal(hostname, error) from None
