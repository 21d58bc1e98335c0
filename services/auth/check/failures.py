"""Wrong keys and sessions, counted by the address that shows them, so that guessing is slow."""

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.runtime.networks import neighbourhood
from services.runtime.quota import WINDOW_SECONDS, PerMinute


class Failures:
    """Counts by address. Somebody who shows what is right is never asked to wait."""

    def __init__(self, quota: PerMinute) -> None:
        self._quota = quota

    def count(self, address: str) -> None:
        """Counts a failure. Raises ApiError(RATE_LIMITED) when there were too many."""
        if not self._quota.allows(neighbourhood(address)):
            raise ApiError(
                Reason.RATE_LIMITED,
                "Too many wrong keys came from this address. Wait before the next one.",
                retry_after_seconds=WINDOW_SECONDS,
            )
