"""Policies, which are named by their digest and therefore never change."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Self

from cachetools import LRUCache
from f2h.access.v1 import principal_pb2

CACHED_POLICIES = 10_000


class Policy:
    """What a key may do, and where."""

    def __init__(
        self, capabilities: Iterable[str], servers: Iterable[str], cidrs: Iterable[str] = ()
    ) -> None:
        self.capabilities = frozenset(capabilities)
        """Capability ids."""
        self.servers = frozenset(servers)
        """Hostnames."""
        self.cidrs = frozenset(cidrs)
        """The networks that it may be used from; none: from anywhere."""

    def encode(self) -> bytes:
        """Its one canonical form: a serialized f2h.access.v1.Policy, sorted."""
        return principal_pb2.Policy(
            capabilities=sorted(self.capabilities),
            servers=sorted(self.servers),
            cidrs=sorted(self.cidrs),
        ).SerializeToString(deterministic=True)

    @classmethod
    def decode(cls, message: principal_pb2.Policy) -> Self:
        """The policy that a message holds."""
        return cls(message.capabilities, message.servers, message.cidrs)

    def digest(self) -> bytes:
        """SHA-256 of the canonical form, 32 bytes: its name."""
        return hashlib.sha256(self.encode()).digest()


Fetch = Callable[[bytes, str], Awaitable[Policy]]
"""Gets the policy with a digest, showing auth the principal header that names it."""


class PolicyCache:
    """Fetches each policy once."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._policies: LRUCache[bytes, Policy] = LRUCache(CACHED_POLICIES)

    async def get(self, digest: bytes, principal_header: str) -> Policy:
        """The policy with this digest. Raises what the fetch raises."""
        policy = self._policies.get(digest)
        if policy is None:
            policy = await self._fetch(digest, principal_header)
            self._policies[digest] = policy
        return policy
