"""Reverse DNS at any authoritative server: DNS UPDATE (RFC 2136) signed by TSIG (RFC 8945)."""

import asyncio
from dataclasses import dataclass

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.reversename
import dns.tsig
import dns.update
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.server_ops.ptr.ptr import DnsError, DnsRefused, DnsSilent, Forward, Ptr

ANSWER_SECONDS = 3.0
FORWARD_SECONDS = 3.0
AT_ONCE = 16
"""So many questions a server: BIND starts to drop updates when it is sent hundreds at once."""

LONGEST_CHAIN = 8
"""How many CNAME records are followed; RFC 2317 needs one."""


@dataclass(frozen=True)
class DnsServer:
    """The authoritative server, and the key that it shares with us."""

    address: str
    port: int
    key: dns.tsig.Key


class ReverseDns:
    """Implements Dns.

    Every question to the authoritative server is signed, and so must be every answer, which
    dnspython sees to.
    """

    def __init__(
        self, server: DnsServer, resolver: dns.asyncresolver.Resolver, ttl_seconds: int
    ) -> None:
        """The `resolver` looks names up as the world does; records live `ttl_seconds`."""
        self._server = server
        self._resolver = resolver
        self._ttl_seconds = ttl_seconds
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def read(self, ip: str) -> Ptr | None:
        """See Dns."""
        name, answer = await self._record(ip)
        found = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.PTR)
        if not found:
            return None
        # A name that several hosts share may have several; the first in order is the one.
        target = min(str(rdata.target) for rdata in found)
        return Ptr(target.removesuffix(".").lower(), found.ttl, _text(name))

    async def write(self, ip: str, target: str | None) -> None:
        """See Dns."""
        name, _ = await self._record(ip)
        update = dns.update.UpdateMessage(await self._zone(name))
        if target is None:
            update.delete(name, dns.rdatatype.PTR)
        else:
            update.replace(name, self._ttl_seconds, dns.rdatatype.PTR, f"{target}.")
        answer = await self._ask(update)
        if answer.rcode() != dns.rcode.NOERROR:
            raise _refused(f"The DNS server refused to change {_text(name)}", answer)

    async def forward(self, target: str, ip: str) -> Forward:
        """See Dns."""
        kind = dns.rdatatype.AAAA if ":" in ip else dns.rdatatype.A
        try:
            answer = await self._resolver.resolve(f"{target}.", kind, lifetime=FORWARD_SECONDS)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return Forward.NOT_CONFIRMED
        except (dns.exception.DNSException, OSError):
            return Forward.UNKNOWN
        found = {rdata.address for rdata in answer}
        return Forward.CONFIRMED if ip in found else Forward.NOT_CONFIRMED

    async def _record(self, ip: str) -> tuple[dns.name.Name, dns.message.Message]:
        """The name whose PTR record is the address's, and what the server answers for it.

        That is the reverse name, or what a CNAME record there leads to (RFC 2317).
        """
        name = dns.reversename.from_address(ip)
        for _ in range(LONGEST_CHAIN):
            answer = await self._ask(dns.message.make_query(name, dns.rdatatype.PTR))
            if answer.rcode() in {dns.rcode.REFUSED, dns.rcode.NOTAUTH} or _refers(answer):
                # The parent zone of a classless delegation may be another server's.
                following = await self._alias(name)
                if following is None:
                    raise _refused(f"The DNS server is not authoritative for {_text(name)}", answer)
            elif answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
                raise _refused(f"The DNS server does not answer for {_text(name)}", answer)
            else:
                aliases = answer.get_rrset(
                    answer.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME
                )
                if not aliases:
                    return name, answer
                following = aliases[0].target
            name = following
        raise DnsRefused(f"The reverse name of {ip} leads from one alias to the next.")

    async def _alias(self, name: dns.name.Name) -> dns.name.Name | None:
        """What the name stands for, as the world sees it."""
        try:
            answer = await self._resolver.resolve(
                name, dns.rdatatype.CNAME, lifetime=FORWARD_SECONDS
            )
        except (dns.exception.DNSException, OSError):
            return None
        target: dns.name.Name = answer[0].target
        return target

    async def _zone(self, name: dns.name.Name) -> dns.name.Name:
        """The zone that holds the name: the owner of the SOA record in the answer (RFC 2308)."""
        answer = await self._ask(dns.message.make_query(name, dns.rdatatype.SOA))
        for rrset in (*answer.answer, *answer.authority):
            if rrset.rdtype == dns.rdatatype.SOA:
                return rrset.name
        raise _refused(f"The DNS server has no zone for {_text(name)}", answer)

    async def _ask(self, message: dns.message.Message) -> dns.message.Message:
        """The answer of the authoritative server, signed. Raises DnsError."""
        message.flags &= ~dns.flags.RD
        message.use_tsig(self._server.key)
        async with self._turns:
            try:
                answer = await dns.asyncquery.tcp(
                    message, self._server.address, ANSWER_SECONDS, self._server.port
                )
            except (dns.exception.Timeout, EOFError, ConnectionResetError):
                raise DnsSilent("The DNS server did not answer.") from None
            except OSError:
                raise DnsError("The DNS server cannot be reached.") from None
            except (dns.tsig.PeerError, dns.tsig.BadSignature, dns.tsig.BadTime) as error:
                text = f"The DNS server and we do not agree on the key ({type(error).__name__})."
                raise DnsRefused(text) from None
            except (dns.exception.DNSException, ValueError):
                text = "The DNS server's answer is not signed, or makes no sense."
                raise DnsSilent(text) from None
        return answer


class NoDns:
    """Implements Dns where no DNS server is set up."""

    async def read(self, ip: str) -> Ptr | None:
        """See Dns."""
        raise _not_set_up(ip)

    async def write(self, ip: str, target: str | None) -> None:  # noqa: ARG002 - Dns has it
        """See Dns."""
        raise _not_set_up(ip)

    async def forward(self, target: str, ip: str) -> Forward:  # noqa: ARG002 - Dns has it
        """See Dns."""
        return Forward.UNKNOWN


def _refers(answer: dns.message.Message) -> bool:
    """Whether the server points elsewhere instead of answering for itself."""
    return not answer.flags & dns.flags.AA and not answer.answer


def _refused(what: str, answer: dns.message.Message) -> DnsRefused:
    rcode = dns.rcode.to_text(answer.rcode())
    return DnsRefused(f"{what} ({rcode}).", rcode)


def _text(name: dns.name.Name) -> str:
    return str(name).removesuffix(".").lower()


def _not_set_up(ip: str) -> ApiError:
    return ApiError(Reason.NOT_SET_UP, f"No DNS server is set up for the PTR record of {ip}.")
