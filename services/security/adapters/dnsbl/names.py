"""The names that a blocklist is asked for, and what its answers say."""

import ipaddress
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from cachetools import LRUCache

ALIKE = 512

SENSELESS = "The resolver's answer makes no sense."
NOT_RECURSIVE = "The resolver points elsewhere instead of answering."
NO_ZONE = "The zone of the blocklist does not exist."

_HEADER = 12
"""Octets of a message before the question (RFC 1035 section 4.1.1)."""
_RESPONSE = 0b1_1111_000
"""Of a message's third octet: the bit QR and the opcode, which is zero for a query."""
_ANSWER = 0b1_0000_000
_OCTETS = {str(octet): bytes([len(str(octet))]) + str(octet).encode() for octet in range(256)}
_NIBBLES = {digit: b"\x01" + digit.encode() for digit in "0123456789abcdef"}
"""The labels of the names of addresses."""
_REGISTERED = 3
"""Labels of the shortest name that is anybody's, for instance "spamhaus.org" with the root's."""
_FAILURES = {
    dns.rcode.SERVFAIL: "The resolver could not find out (SERVFAIL).",
    dns.rcode.REFUSED: "The resolver refused the question (REFUSED).",
}


class Answer(NamedTuple):
    codes: tuple[str, ...]
    """The A records' addresses."""
    ttl: float
    """Seconds."""
    failure: str = ""
    """Why it is none, a sentence; empty: it is one."""


def failed(failure: str) -> Answer:
    return Answer((), 0, failure)


class Names:
    """The questions for a zone's names, and what their answers say."""

    def __init__(self, zone: str) -> None:
        """Raises ValueError: it is no domain name, or too long."""
        try:
            self._zone = dns.name.from_text(zone)
            # The longest name is that of an IPv6 address.
            dns.name.Name([b"0"] * 32 + list(self._zone.labels))
            message = dns.message.make_query(self._zone, dns.rdatatype.A).to_wire()
        except (dns.exception.DNSException, ValueError):
            message = b""
        if not message or self._zone == dns.name.root:
            raise ValueError("The zone of the DNS blocklist is no domain name.")
        # The name of an address is labels before the zone's, so that a question is the one for the
        # zone with these put in. To have dnspython make each takes ten times as long.
        self._head, self._tail = message[2:_HEADER], message[_HEADER:].lower()
        self._alike: LRUCache[tuple[bytes, int, bytes], Answer] = LRUCache(ALIKE)

    def question(self, ip: str) -> bytes:
        """The message after its id, for an address (RFC 5782 sections 2.1 and 2.4).

        Raises ValueError: it is no address.
        """
        if ":" in ip:
            digits = reversed(ipaddress.IPv6Address(ip).packed.hex())
            return b"".join([self._head, *[_NIBBLES[digit] for digit in digits], self._tail])
        try:
            first, second, third, fourth = ip.split(".")
            return (
                self._head
                + _OCTETS[fourth]
                + _OCTETS[third]
                + _OCTETS[second]
                + _OCTETS[first]
                + self._tail
            )
        except (KeyError, ValueError):
            raise ValueError("no IP address") from None

    def answers(self, datagram: bytes, question: bytes) -> bool:
        """Whether it answers a question; the id was compared. Letters' case does not count."""
        return (
            len(datagram) >= _HEADER
            and datagram[2] & _RESPONSE == _ANSWER
            and datagram[4:6] == question[2:4]
            and datagram[_HEADER : len(question) + 2].lower() == question[_HEADER - 2 :]
        )

    def read(self, datagram: bytes, question: bytes) -> Answer:
        """What a datagram says that answers a question."""
        if datagram[6:8] != b"\0\0":
            return self._decode(datagram)
        # Most addresses are clean, and what a zone says of them is alike but for the question.
        # Whatever is not in the key decides at most which of our zone's names a pointer means.
        key = datagram[2:_HEADER], len(question), datagram[len(question) + 2 :]
        answer: Answer | None = self._alike.get(key)
        if answer is None:
            answer = self._alike[key] = self._decode(datagram)
        return answer

    def meaning(self, message: dns.message.Message) -> Answer:
        """What an answer says. Raises DNSException: it contradicts itself."""
        rcode = message.rcode()
        if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            return Answer((), 0, _FAILURES.get(rcode, f"The resolver failed ({rcode.name})."))
        if not isinstance(message, dns.message.QueryMessage) or message.flags & dns.flags.TC:
            return Answer((), 0, SENSELESS)
        # It sees to CNAMEs, and to how long a negative answer holds (RFC 2308 section 5).
        found = message.resolve_chaining()
        if found.answer:
            return Answer(tuple(rdata.address for rdata in found.answer), found.minimum_ttl)
        return Answer((), found.minimum_ttl, self._not_clean(message, found))

    def _not_clean(
        self, message: dns.message.QueryMessage, found: dns.message.ChainingResult
    ) -> str:
        """Why an answer without codes does not mean that the address is on no list, or nothing."""
        owners = {rrset.rdtype: rrset.name for rrset in message.authority}
        soa = owners.get(dns.rdatatype.SOA)
        if message.rcode() == dns.rcode.NOERROR:
            # An alias that leads nowhere, or a referral (RFC 2308 section 2.2).
            elsewhere = found.cnames or (soa is None and dns.rdatatype.NS in owners)
            return NOT_RECURSIVE if elsewhere else ""
        # Of a zone that is mistyped the domain above tells, and tells it of every address.
        if soa is None or len(soa.labels) >= _REGISTERED:
            return ""
        return NO_ZONE if soa != self._zone and self._zone.is_subdomain(soa) else ""

    def _decode(self, datagram: bytes) -> Answer:
        try:
            return self.meaning(dns.message.from_wire(datagram))
        except Exception:  # noqa: BLE001 - whatever a stranger's bytes lead a decoder to
            return Answer((), 0, SENSELESS)
