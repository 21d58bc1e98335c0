"""Ownership of BMCs by leases in the database that all processes share."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcUnreachable, Trouble

log = structlog.get_logger()

Key = tuple[str, int]
"""Address and port of a BMC."""

LEASE_SECONDS = 12.0
RENEW_SECONDS = 2.0

_MARGIN_SECONDS = 2.0
"""By so much a lease ends earlier for us than for the others."""

_WAIT_SECONDS, _PAUSE_SECONDS = 8.0, 0.25
"""How long another process is waited for, and how often it is looked whether it has let go."""


@dataclass(frozen=True)
class Renewed:
    """What became of our leases."""

    held: frozenset[Key]
    wanted: frozenset[Key]
    """Those that another process waits for."""


class LeaseStore(Protocol):
    """Where leases are kept, on the database's clock."""

    async def acquire(self, key: Key, seconds: float) -> bool:
        """Takes a BMC that is free, ours, or expired; else says that we want it."""
        ...

    async def renew(self, seconds: float) -> Renewed:
        """Renews what is ours."""
        ...

    async def release(self, key: Key) -> None:
        """Gives one back."""
        ...


class Leases:
    """Implements Ownership."""

    def __init__(self, store: LeaseStore, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._until: dict[Key, float] = {}
        """Until when a BMC is surely ours, on the monotonic clock."""
        self.let_go: Callable[[Key], Awaitable[None]] | None = None
        """Called for a BMC that another process wants, or that is no longer ours."""

    async def own(self, endpoint: BmcEndpoint) -> None:
        """See Ownership."""
        key = _key(endpoint)
        deadline = self._monotonic() + _WAIT_SECONDS
        while self._until.get(key, 0.0) <= (now := self._monotonic()):
            if await self._store.acquire(key, LEASE_SECONDS):
                self._until[key] = now + LEASE_SECONDS - _MARGIN_SECONDS
            elif now > deadline:
                raise BmcUnreachable(Trouble.OWNED_ELSEWHERE)
            else:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def give_back(self, endpoint: BmcEndpoint) -> None:
        """See Ownership."""
        if self._until.pop(_key(endpoint), None) is None:
            return
        try:
            await self._store.release(_key(endpoint))
        except Exception as error:  # noqa: BLE001 - whatever hinders: the lease ends by itself
            log.warning("lease not given back", bmc=endpoint.address, error=type(error).__name__)

    async def renew(self) -> None:
        """Keeps what is ours; again and again, every RENEW_SECONDS."""
        begin = self._monotonic()
        renewed = await self._store.renew(LEASE_SECONDS)
        lost = self._until.keys() - renewed.held
        for key in self._until.keys() & renewed.held:
            self._until[key] = begin + LEASE_SECONDS - _MARGIN_SECONDS
        for key in lost:
            # Unless it was taken while we looked.
            if self._until[key] <= begin + LEASE_SECONDS - _MARGIN_SECONDS:
                del self._until[key]
        if self.let_go is not None:
            for key in lost | renewed.wanted:
                await self.let_go(key)


def _key(endpoint: BmcEndpoint) -> Key:
    return endpoint.address, endpoint.port
