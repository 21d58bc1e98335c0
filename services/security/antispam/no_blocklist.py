"""What is known of listings where no blocklist is set up: nothing."""

from services.runtime.clock import Clock
from services.security.antispam.listing import LookUp


class NoBlocklist:
    """Implements Blocklist."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def look_up(self, ip: str, *, fresh: bool = False) -> LookUp:  # noqa: ARG002
        """See Blocklist."""
        return LookUp(ip, (), "Spamhaus is not asked here: no zone is set up.", self._clock())
