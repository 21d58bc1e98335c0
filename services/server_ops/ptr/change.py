"""Reading and changing PTR records: what is said is what the DNS holds."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.server_ops.ptr.ptr import Dns, DnsError, DnsRefused, DnsSilent, Forward, Ptr

RETRY_SECONDS = 5.0

LOOK_SECONDS = 3.0
"""How long the records of a list are waited for."""


@dataclass(frozen=True)
class ConfirmedPtr:
    """A record, and whether its name leads back."""

    ptr: Ptr
    forward: Forward


class Ptrs:
    """The PTR records of addresses, given in canonical form."""

    def __init__(self, dns: Dns, *, forward_required: bool) -> None:
        """With `forward_required`, a name must lead back to the address before it is set."""
        self._dns = dns
        self._forward_required = forward_required
        self._turns: dict[str, asyncio.Lock] = {}

    async def get(self, ip: str) -> ConfirmedPtr:
        """The record. Raises ApiError: NOT_FOUND, DNS_REFUSED, DEPENDENCY_UNAVAILABLE."""
        with_errors = _told(ip)
        async with with_errors:
            ptr = await self._dns.read(ip)
        if ptr is None:
            raise _none(ip)
        return ConfirmedPtr(ptr, await self._dns.forward(ptr.target, ip))

    async def set(self, ip: str, target: str) -> ConfirmedPtr:
        """The record as it was read back, after it was set.

        Raises ApiError: FORWARD_NOT_CONFIRMED, DNS_REFUSED, DEPENDENCY_UNAVAILABLE, and
        OUTCOME_UNKNOWN.
        """
        target = target.removesuffix(".").lower()
        forward = await self._dns.forward(target, ip)
        if self._forward_required and forward is not Forward.CONFIRMED:
            raise _not_confirmed(ip, target, forward)
        held = await self._change(ip, target)
        if held is None:
            raise AssertionError
        return ConfirmedPtr(held, forward)

    async def delete(self, ip: str) -> None:
        """Removes the record.

        Raises ApiError: NOT_FOUND, DNS_REFUSED, DEPENDENCY_UNAVAILABLE, OUTCOME_UNKNOWN.
        """
        async with _told(ip):
            if await self._dns.read(ip) is None:
                raise _none(ip)
        await self._change(ip, None)

    async def look(self, ips: Iterable[str]) -> dict[str, Ptr | None]:
        """The records of several addresses; without those that could not be read in time."""
        looks = {ip: asyncio.create_task(self._dns.read(ip)) for ip in ips}
        if not looks:
            return {}
        done, late = await asyncio.wait(looks.values(), timeout=LOOK_SECONDS)
        for task in late:
            task.cancel()
        return {
            ip: task.result() for ip, task in looks.items() if task in done and not _failed(task)
        }

    async def _change(self, ip: str, target: str | None) -> Ptr | None:
        """What the DNS holds after it was told so."""
        async with self._turns.setdefault(ip, asyncio.Lock()), _told(ip):
            lost: DnsSilent | None = None
            try:
                await self._dns.write(ip, target)
            except DnsSilent as silent:
                lost = silent
            try:
                held = await self._dns.read(ip)
            except DnsError:
                text = "The DNS server was told once and does not say what it holds. Ask for it."
                raise ApiError(Reason.OUTCOME_UNKNOWN, text) from None
            if (held.target if held else None) == target:
                return held
            if lost:
                raise DnsSilent(f"{lost} It holds what it did before.")
            other = held.target if held else "none"
            text = f"The DNS server was told, and holds {other}: somebody else changed it too."
            raise ApiError(Reason.OUTCOME_UNKNOWN, text)


@asynccontextmanager
async def _told(ip: str) -> AsyncIterator[None]:
    """What went wrong with the DNS, in the words of the API."""
    try:
        yield
    except DnsRefused as refused:
        metadata = {"ip": ip, "rcode": refused.rcode} if refused.rcode else {"ip": ip}
        raise ApiError(Reason.DNS_REFUSED, str(refused), metadata=metadata) from None
    except DnsError as error:
        raise ApiError(
            Reason.DEPENDENCY_UNAVAILABLE, str(error), retry_after_seconds=RETRY_SECONDS
        ) from None


def _failed(task: asyncio.Task[Ptr | None]) -> bool:
    return isinstance(task.exception(), DnsError | ApiError)


def _none(ip: str) -> ApiError:
    return ApiError(Reason.NOT_FOUND, f"{ip} has no PTR record.", metadata={"ip": ip})


def _not_confirmed(ip: str, target: str, forward: Forward) -> ApiError:
    if forward is Forward.UNKNOWN:
        text = f"{target} could not be looked up now, and the provider asks that it leads to {ip}."
        return ApiError(Reason.DEPENDENCY_UNAVAILABLE, text, retry_after_seconds=RETRY_SECONDS)
    record = "AAAA" if ":" in ip else "A"
    text = f"{target} has no {record} record with {ip}: make that first, then set the PTR record."
    metadata = {"ip": ip, "ptr": target}
    return ApiError(Reason.FORWARD_NOT_CONFIRMED, text, metadata=metadata)
