"""What is known of a server's BMC, and where it is kept. Everything here is a value."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from services.server_ops.bmc.errors import BmcAuthFailed, BmcError, BmcUnreachable, Trouble
from services.server_ops.bmc.identity import Identity
from services.server_ops.bmc.observation import PowerState


class Reachability(StrEnum):
    """Whether a BMC can be reached."""

    CONTACTABLE = "CONTACTABLE"
    AUTH_FAILED = "AUTH_FAILED"
    """It refuses our login, which is not tried again until it is changed."""
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True)
class BmcStatus:
    """What is known of a server's BMC."""

    hostname: str
    reachability: Reachability | None = None
    """None: it was not tried yet."""
    trouble: Trouble | None = None
    """Why it is unreachable."""
    power: PowerState = PowerState.UNKNOWN
    contact_time: datetime | None = None
    """When it last answered: `power` is of then."""
    check_time: datetime | None = None
    """When it was last asked."""
    failures: int = 0
    """How often in a row it did not answer."""
    identity: Identity | None = None
    identify_time: datetime | None = None
    expected_power: PowerState | None = None
    """What was last asked for and seen; None: nobody asked yet."""
    drift_time: datetime | None = None
    """When the power was first seen to be another one than the expected."""


class StatusEvent(StrEnum):
    """What somebody may want to hear of."""

    POWER_CHANGED = "server.power_changed"
    UNREACHABLE = "server.unreachable"
    REACHABLE = "server.reachable"


def contacted(
    status: BmcStatus, power: PowerState, identity: Identity | None, now: datetime
) -> BmcStatus:
    """The status after the BMC answered. `identity` is None when it was not asked for it."""
    drifted = status.expected_power is not None and power not in {
        status.expected_power,
        PowerState.UNKNOWN,
    }
    return replace(
        status,
        reachability=Reachability.CONTACTABLE,
        trouble=None,
        power=power,
        contact_time=now,
        check_time=now,
        failures=0,
        identity=identity or status.identity,
        identify_time=now if identity else status.identify_time,
        drift_time=(status.drift_time or now) if drifted else None,
    )


def not_contacted(status: BmcStatus, error: BmcError, now: datetime) -> BmcStatus:
    """The status after the BMC did not answer. A BMC that was not even asked stays as it was."""
    if isinstance(error, BmcAuthFailed):
        return replace(status, reachability=Reachability.AUTH_FAILED, trouble=None, check_time=now)
    trouble = error.trouble if isinstance(error, BmcUnreachable) else Trouble.NO_ANSWER
    if trouble not in {Trouble.NO_ANSWER, Trouble.NO_FREE_SESSION}:
        return status
    return replace(
        status,
        reachability=Reachability.UNREACHABLE,
        trouble=trouble,
        check_time=now,
        failures=status.failures + 1,
    )


def expected(status: BmcStatus, power: PowerState, now: datetime) -> BmcStatus:
    """The status after an operation left the machine with this power, which it saw."""
    return replace(
        status, expected_power=power, power=power, contact_time=now, drift_time=None, failures=0
    )


def events(before: BmcStatus, after: BmcStatus, failing_after: int) -> tuple[StatusEvent, ...]:
    """What happened between two statuses. Unreachable is who failed so often in a row."""
    told = []
    known = {before.power, after.power}
    if before.power != after.power and PowerState.UNKNOWN not in known:
        told.append(StatusEvent.POWER_CHANGED)
    if before.failures < failing_after <= after.failures:
        told.append(StatusEvent.UNREACHABLE)
    if after.failures == 0 and before.failures >= failing_after:
        told.append(StatusEvent.REACHABLE)
    return tuple(told)


Change = Callable[[BmcStatus], BmcStatus]


class BmcStatuses(Protocol):
    """Where the status of every BMC is kept."""

    async def find(self, hostname: str) -> BmcStatus:
        """What is known of a server's BMC."""
        ...

    async def update(self, hostname: str, change: Change) -> BmcStatus | None:
        """Applies a change in one transaction; None when the server is gone."""
        ...

    async def claim_due(self, now: datetime, interval: timedelta, limit: int) -> list[str]:
        """Servers whose check is due, `limit` at most; they are due again after about `interval`.

        No two processes are given the same one.
        """
        ...
