"""Asking for an address to be unblocked: refused at once where it cannot be done."""

import math
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.call import Caller
from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.security.antispam.block import (
    Block,
    Blocks,
    NotBlocked,
    RequestKnown,
    TooEarly,
    Unblocking,
    UnderWay,
    operation_name,
)
from services.security.antispam.listing import Blocklist, LookUp, SpamhausList
from services.security.antispam.states import State

HINDERING = frozenset({SpamhausList.SBL, SpamhausList.CSS, SpamhausList.XBL, SpamhausList.DROP})
"""The lists that an address must not be on. The PBL says only that it should not send mail itself.
"""

RETRY_SECONDS = 5.0


class RequestUnblock:
    """Accepts unblockings."""

    def __init__(
        self,
        blocks: Blocks,
        blocklist: Blocklist | None,
        clock: Clock,
        new_id: Callable[[], UUID],
        *,
        block_lists: frozenset[SpamhausList] = frozenset(),
    ) -> None:
        """Without a `blocklist`, listings do not count. With it, neither HINDERING nor those that
        an address would be blocked for again, `block_lists`, may have it.
        """
        self._blocks = blocks
        self._blocklist = blocklist
        self._clock = clock
        self._new_id = new_id
        self._hindering = HINDERING | block_lists

    async def __call__(
        self, hostname: str, caller: Caller, ip: str, request_id: str = ""
    ) -> Unblocking:
        """The accepted operation for an address of the server, given in canonical form.

        The same request id of the same caller again has the same operation. Raises ApiError:
        REQUEST_ID_REUSED, IP_NOT_BLOCKED, IP_BUSY, UNBLOCK_TOO_EARLY, IP_LISTED, and
        DEPENDENCY_UNAVAILABLE when nobody can say whether it is listed.
        """
        account, subject = caller.account, caller.principal.subject
        if request_id and (known := await self._blocks.requested(account, subject, request_id)):
            return _same(known, hostname, ip)
        try:
            return await self._accepted(hostname, caller, ip, request_id)
        except (ApiError, RequestKnown):
            # What hinders may be what was begun for the same request meanwhile.
            if request_id and (known := await self._blocks.requested(account, subject, request_id)):
                return _same(known, hostname, ip)
            raise

    async def _accepted(
        self, hostname: str, caller: Caller, ip: str, request_id: str
    ) -> Unblocking:
        block = (await self._blocks.of([ip])).get(ip)
        if block is None or block.state is State.UNBLOCKED:
            raise not_blocked(ip)
        if block.operation is not None:
            raise ip_busy(ip, operation_name(block.operation))
        now = self._clock()
        if now < block.unblock_time:
            raise _too_early(block, now)
        if self._blocklist is not None:
            _refuse_listed(await self._blocklist.look_up(ip, fresh=True), self._hindering)
        now = self._clock()
        unblocking = Unblocking(
            self._new_id(),
            ip,
            hostname,
            caller.account,
            "RUNNING",
            now,
            now,
            request_id,
            caller.principal.subject,
            caller.kind,
        )
        try:
            await self._blocks.begin(unblocking)
        except NotBlocked:
            raise not_blocked(ip) from None
        except UnderWay as under_way:
            raise ip_busy(ip, under_way.operation) from None
        except TooEarly as early:
            raise _too_early(early.block, now) from None
        return unblocking


def not_blocked(ip: str) -> ApiError:
    """That there is nothing to lift."""
    return ApiError(
        Reason.IP_NOT_BLOCKED, f"Port 25 of {ip} is not blocked by us.", metadata={"ip": ip}
    )


def ip_busy(ip: str, operation: str) -> ApiError:
    """That an operation unblocks the address."""
    return ApiError(
        Reason.IP_BUSY,
        f"{operation} unblocks {ip} now.",
        metadata={"ip": ip, "operation": operation},
        retry_after_seconds=RETRY_SECONDS,
    )


def _same(known: Unblocking, hostname: str, ip: str) -> Unblocking:
    if (known.hostname, known.ip) != (hostname, ip):
        text = f"This request id was used for {known.ip} of {known.hostname} before."
        raise ApiError(Reason.REQUEST_ID_REUSED, text, metadata={"operation": known.name})
    return known


def _too_early(block: Block, now: datetime) -> ApiError:
    seconds = (block.unblock_time - now).total_seconds()
    text = (
        f"{block.ip} was blocked for spam: {block.reason} Stop that first. Unblocking may be asked "
        f"for in {math.ceil(seconds)} s."
    )
    return ApiError(
        Reason.UNBLOCK_TOO_EARLY,
        text,
        metadata={"ip": block.ip, "unblock_time": block.unblock_time.isoformat()},
        retry_after_seconds=seconds,
    )


def _refuse_listed(look_up: LookUp, lists: frozenset[SpamhausList]) -> None:
    if look_up.unknown:
        text = f"Whether Spamhaus lists {look_up.ip} is not known now. {look_up.unknown}"
        raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, text, retry_after_seconds=RETRY_SECONDS)
    hindering = [each for each in look_up.listings if each.list in lists]
    if hindering:
        names = ", ".join(each.list for each in hindering)
        link = hindering[0].link
        text = f"Spamhaus lists {look_up.ip} on {names}. End that first: {link}"
        metadata = {"ip": look_up.ip, "lists": names, "link": link}
        raise ApiError(Reason.IP_LISTED, text, metadata=metadata)
