"""The mail gate as a table of nftables, by `nft -j` (libnftables-json(5)) on the gateway."""

import asyncio
import json
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from services.security.antispam.gate import GateFailed
from services.security.gateways.gateway import Gateway
from services.security.gateways.host import HostError, Hosts

TABLE = "f2hcloud_mail"
CHAIN = "forward"
COUNTER = "refused"
"""Counts what the gate refuses, for who looks at the gateway. It outlives changes of the rules."""

SETS = {4: "blocked4", 6: "blocked6"}
"""The set of blocked addresses of each IP version."""

_WITHIN = {"family": "inet", "table": TABLE}
_PROTOCOLS = {4: "ip", 6: "ip6"}


class NftGate:
    """Implements MailGate.

    The table is ours alone and is never written to the gateway's own files: after a restart of the
    gateway it is not there, and it is whole again with the next change.
    """

    def __init__(self, hosts: Hosts, command: str = "nft") -> None:
        """`command` runs nftables' `nft`, for instance "sudo nft"."""
        self._hosts = hosts
        self._command = command

    async def blocked(self, gateway: Gateway) -> frozenset[str]:
        """See MailGate. An address that is in a set which no rule looks at is not blocked."""
        status, output = await self._run(gateway, f"-j list table inet {TABLE}")
        if status == 0:
            # A table of tens of thousands keeps a thread busy for a good part of a second.
            return await asyncio.to_thread(_blocked, output)
        # It says in words alone why not: that there is no such table, or that it may not look.
        status, output = await self._run(gateway, "-j list tables inet")
        if status == 0 and TABLE not in [each.get("name") for each in _objects(output, "table")]:
            return frozenset()
        raise _refused()

    async def holds(self, gateway: Gateway, ip: str) -> bool:
        """See MailGate. Raises ValueError: it is no address."""
        return str(_address(ip)) in await self.blocked(gateway)

    async def block(self, gateway: Gateway, ips: Collection[str]) -> None:
        """See MailGate. Raises ValueError: one is no address."""
        await self._change(gateway, *_WHOLE, *_elements("add", ips))

    async def lift(self, gateway: Gateway, ips: Collection[str]) -> None:
        """See MailGate. Raises ValueError: one is no address."""
        # Who deletes what is not there is refused, and "destroy" is not known before nft 1.0.7.
        await self._change(gateway, *_WHOLE, *_elements("add", ips), *_elements("delete", ips))

    async def _change(self, gateway: Gateway, *commands: dict[str, Any]) -> None:
        """Does all of it or, when that is refused, nothing. No packet sees a part of it."""
        content = json.dumps({"nftables": commands}).encode()
        status, _ = await self._run(gateway, "-j -f -", content)
        if status != 0:
            raise _refused()

    async def _run(self, gateway: Gateway, words: str, stdin: bytes = b"") -> tuple[int, bytes]:
        try:
            ran = await self._hosts.run(gateway, f"{self._command} {words}", stdin)
        except HostError as error:
            raise GateFailed(str(error)) from None
        return ran.exit_status, ran.output


def _rule(version: int) -> dict[str, Any]:
    """Refuses at once, so that a mail server does not wait, and ends open connections too."""
    sender = {"payload": {"protocol": _PROTOCOLS[version], "field": "saddr"}}
    port = {"payload": {"protocol": "tcp", "field": "dport"}}
    statements = [
        {"match": {"op": "==", "left": sender, "right": f"@{SETS[version]}"}},
        {"match": {"op": "==", "left": port, "right": 25}},
        {"counter": COUNTER},
        {"reject": {"type": "tcp reset"}},
    ]
    return {"add": {"rule": {**_WITHIN, "chain": CHAIN, "expr": statements}}}


# Adding what is there is no error, but a rule: that would be a second one.
_WHOLE: tuple[dict[str, Any], ...] = (
    {"add": {"table": {"family": "inet", "name": TABLE}}},
    {"add": {"counter": {**_WITHIN, "name": COUNTER}}},
    {"add": {"set": {**_WITHIN, "name": SETS[4], "type": "ipv4_addr"}}},
    {"add": {"set": {**_WITHIN, "name": SETS[6], "type": "ipv6_addr"}}},
    {
        "add": {
            "chain": {
                **_WITHIN,
                "name": CHAIN,
                "type": "filter",
                "hook": "forward",
                "prio": 0,
                "policy": "accept",
            }
        }
    },
    {"flush": {"chain": {**_WITHIN, "name": CHAIN}}},
    _rule(4),
    _rule(6),
)


def _elements(verb: str, ips: Collection[str]) -> Iterator[dict[str, Any]]:
    """A command for each set that some of the addresses are of."""
    addresses = [_address(ip) for ip in ips]
    for version, name in SETS.items():
        texts = [str(address) for address in addresses if address.version == version]
        if texts:
            yield {verb: {"element": {**_WITHIN, "name": name, "elem": texts}}}


def _address(ip: str) -> IPv4Address | IPv6Address:
    """The address. Raises ValueError: it is none, or has a zone, which may be any text."""
    address = ip_address(ip)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ValueError("An address with a zone is none of a server's.")
    return address


def _blocked(output: bytes) -> frozenset[str]:
    """The addresses in those sets of a listed table that a rule of its refuses."""
    refused = {name for rule in _objects(output, "rule") for name in _refuses(rule)}
    try:
        return frozenset(
            str(_address(_text(element)))
            for each in _objects(output, "set")
            if each.get("name") in refused
            for element in each.get("elem", ())
        )
    except (ValueError, TypeError, KeyError):
        raise _nonsense() from None


def _text(element: Any) -> str:
    """The address of an element, which stands in an object where it has a comment or more."""
    text = element["elem"]["val"] if isinstance(element, dict) else element
    if not isinstance(text, str):
        raise TypeError(text)
    return text


def _refuses(rule: dict[str, Any]) -> set[str]:
    """The sets that a rule of our chain looks at and refuses."""
    if rule.get("chain") != CHAIN or not isinstance(rule.get("expr"), list):
        return set()
    # What has no words is written as a name alone, or as null.
    statements = [each for each in rule["expr"] if isinstance(each, dict)]
    if not any("reject" in each for each in statements):
        return set()
    matches = [each["match"] for each in statements if isinstance(each.get("match"), dict)]
    return {name for name in SETS.values() if f"@{name}" in [each.get("right") for each in matches]}


def _objects(output: bytes, kind: str) -> list[dict[str, Any]]:
    """The objects of a kind in an answer."""
    try:
        objects = [each[kind] for each in json.loads(output)["nftables"] if kind in each]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _nonsense() from None
    if not all(isinstance(each, dict) for each in objects):
        raise _nonsense()
    return objects


def _refused() -> GateFailed:
    return GateFailed("Its nftables refused the command.")


def _nonsense() -> GateFailed:
    return GateFailed("Its nftables does not answer as it should.")
