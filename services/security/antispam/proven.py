"""A blocklist that is asked whether it works, before its silence is believed."""

from services.security.antispam.listing import Blocklist, LookUp

TEST_ENTRY = "127.0.0.2"
"""What every blocklist of IPv4 addresses lists (RFC 5782 section 5)."""

NOT_WORKING = "The blocklist does not list its own test entry: its zone or its key is wrong."


class ProvenBlocklist:
    """Implements Blocklist by another one.

    Of a zone that nobody serves, or whose key has ended, a resolver says of every address what it
    says of a clean one. So that an address is on no list is believed only beside a test entry that
    is on one. Both are kept by the other one for as long as it keeps things.
    """

    def __init__(self, blocklist: Blocklist) -> None:
        self._blocklist = blocklist

    async def look_up(self, ip: str, *, fresh: bool = False) -> LookUp:
        """See Blocklist."""
        found = await self._blocklist.look_up(ip, fresh=fresh)
        if found.unknown or found.listings:
            return found
        proof = await self._blocklist.look_up(TEST_ENTRY)
        if proof.listings:
            return found
        return LookUp(ip, (), proof.unknown or NOT_WORKING, found.time)
