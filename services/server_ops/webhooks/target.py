"""Where a message may be sent: which URLs, and which addresses behind their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from services.server_ops.webhooks.addresses import Address, is_public

_VISIBLE = re.compile(r"[!-\[\]-~]+", re.ASCII)
"""Visible ASCII without the backslash, which some take for a slash."""

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)
"""A host name (RFC 1123, section 2.1), with the underscores that some have."""

_MOST_NAME = 253

_PORTS = {"https": 443, "http": 80}


class TargetNotAllowed(Exception):  # noqa: N818 - it says what happened
    """A URL that nothing is sent to. The text says what would be right."""


@dataclass(frozen=True)
class Target:
    """A URL in its parts, checked."""

    scheme: str
    host: str
    """A name in lower case, or an address without brackets."""
    port: int
    path: str
    """With the query."""

    @property
    def is_address(self) -> bool:
        """Whether the host is an address, not a name."""
        return _address(self.host) is not None


@dataclass(frozen=True)
class TargetRules:
    """What the operator allows."""

    private_networks: Sequence[IPv4Network | IPv6Network] = ()
    """Where messages may be sent although it is not public."""
    allow_http: bool = False
    ports: frozenset[int] = frozenset({443, 8443})
    """Empty: every port."""

    def allows(self, address: Address) -> bool:
        """Whether a message may be sent to this address."""
        within = any(address in network for network in self.private_networks)
        return within or is_public(address)

    def target(self, url: str) -> Target:
        """The URL in its parts. Raises TargetNotAllowed.

        What is checked here is what is connected to: the URL is not parsed a second time.
        """
        if not _VISIBLE.fullmatch(url):
            raise TargetNotAllowed("must be a URL in visible ASCII; a name in its xn-- form")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise TargetNotAllowed("must be a URL, for instance https://example.com/f2h") from None
        if parts.scheme not in {"https", "http"} or not host:
            raise TargetNotAllowed("must be a URL, for instance https://example.com/f2h")
        if parts.scheme == "http" and not self.allow_http:
            raise TargetNotAllowed("must begin with https://")
        if "@" in parts.netloc:
            raise TargetNotAllowed("must have no user and password: messages are signed")
        if "#" in url:
            raise TargetNotAllowed("must have no fragment")
        port = _PORTS[parts.scheme] if port is None else port
        if self.ports and port not in self.ports:
            allowed = ", ".join(map(str, sorted(self.ports)))
            raise TargetNotAllowed(f"must have one of the ports {allowed}")
        self._check_host(host, bracketed="[" in parts.netloc)
        path = parts.path or "/"
        query = f"?{parts.query}" if parts.query else ""
        return Target(parts.scheme, host, port, path + query)

    def _check_host(self, host: str, *, bracketed: bool) -> None:
        address = _address(host)
        if bracketed and not isinstance(address, IPv6Address):
            raise TargetNotAllowed("must have a host name or an address")
        if address is None and (len(host) > _MOST_NAME or not _NAME.fullmatch(host)):
            raise TargetNotAllowed("must have a host name or an address")
        if address is not None and not self.allows(address):
            raise TargetNotAllowed("must have a public address")


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
