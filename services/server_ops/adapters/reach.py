"""Whether servers can be reached: ICMP echo, and TCP connections."""

import asyncio
from contextlib import suppress

import icmplib
import structlog

ICMP_SECONDS = 2.0
ECHOES = 2
"""One lost datagram does not make a server unreachable."""

TCP_SECONDS = 3.0

log = structlog.get_logger()


class NetworkReach:
    """Implements Reach."""

    def __init__(self, *, icmp: bool, tcp_port: int) -> None:
        """`icmp` is whether ICMP echo is tried; `tcp_port` is where servers are to accept
        connections, 0: that is not tried.
        """
        self._tcp_port = tcp_port
        self._privileged = False if icmp else None
        """Whether raw sockets are needed; None: ICMP echo is not tried."""

    async def icmp(self, address: str) -> bool | None:
        """See Reach."""
        while self._privileged is not None:
            try:
                host = await icmplib.async_ping(
                    address,
                    count=ECHOES,
                    interval=0.2,
                    timeout=ICMP_SECONDS,
                    privileged=self._privileged,
                )
            except icmplib.SocketPermissionError:
                # Without net.ipv4.ping_group_range, only who may open raw sockets may ask.
                self._privileged = None if self._privileged else True
                if self._privileged is None:
                    log.warning("ICMP echo is not allowed here: set net.ipv4.ping_group_range")
            except (icmplib.ICMPLibError, OSError):
                return False
            else:
                return bool(host.is_alive)
        return None

    async def tcp(self, address: str) -> bool | None:
        """See Reach."""
        if not self._tcp_port:
            return None
        try:
            async with asyncio.timeout(TCP_SECONDS):
                _, writer = await asyncio.open_connection(address, self._tcp_port)
        except OSError:  # TimeoutError is one
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True
