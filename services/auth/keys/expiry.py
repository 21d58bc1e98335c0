"""When a key stops to work: what its maker asks for, within what the operator allows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.auth.keys.key import ApiKey
from services.runtime.errors import Violation


@dataclass(frozen=True)
class Expiry:
    """What the operator has set."""

    default: timedelta | None = None
    """For who does not say; None: for ever."""
    longest: timedelta | None = None
    """For everybody; None: for ever."""

    def of(
        self, asked: datetime | None, now: datetime, *, never: bool
    ) -> tuple[datetime | None, list[Violation]]:
        """When a new key expires, and what is wrong with what was asked for."""
        latest = now + self.longest if self.longest else None
        if never:
            if asked is not None:
                text = "contradicts expire_time: give one of them"
                return None, [Violation("no_expiry", text)]
            if latest is not None:
                text = f"keys expire here by {_day(latest)} at the latest: give an expire_time"
                return None, [Violation("no_expiry", text)]
            return None, []
        if asked is not None:
            if latest is not None and asked > latest:
                text = f"must be {_day(latest)} at the latest"
                return None, [Violation("expire_time", text)]
            return asked, []
        ends = [now + span for span in (self.default, self.longest) if span]
        return min(ends, default=None), []

    def again(self, key: ApiKey, now: datetime) -> datetime | None:
        """When the key that takes another's place expires: it lives as long as that one was to."""
        span = key.expire_time - key.create_time if key.expire_time else None
        ends = [now + each for each in (span, self.longest) if each]
        return min(ends, default=None)


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
