"""What the mail gate asks of nftables, and what it makes of the answers."""

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.security.adapters.nft_gate import CHAIN, TABLE, NftGate
from services.security.antispam.gate import GateFailed
from services.security.gateways.gateway import Gateway
from services.security.gateways.host import Conversation, HostUnreachable, Ran

GATEWAY = Gateway("g", "EU", ("192.0.2.0/24",), None)

METAINFO = {"metainfo": {"version": "1.0.6", "json_schema_version": 1}}
REJECT: list[Any] = [
    {"match": {"op": "==", "left": {}, "right": "@blocked4"}},
    {"counter": "refused"},
    {"reject": {"type": "tcp reset"}},
]


@dataclass
class Answering:
    """Hosts of which each command gets the next answer."""

    answers: list[Ran | Exception]
    asked: list[tuple[str, bytes]] = field(default_factory=list)

    def connect(
        self, gateway: Gateway, path: str
    ) -> AbstractAsyncContextManager[Conversation, None]:
        raise NotImplementedError

    async def run(self, gateway: Gateway, command: str, stdin: bytes = b"") -> Ran:
        self.asked.append((command, stdin))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        pass


def gate(*answers: Ran | Exception) -> NftGate:
    return NftGate(Answering(list(answers)))


def listed(*objects: Any) -> Ran:
    return Ran(0, json.dumps({"nftables": [METAINFO, *objects]}).encode())


def table(*elements: Any, expr: Any = REJECT, chain: str = CHAIN) -> Ran:
    """A listed table with addresses of IPv4 and a rule."""
    return listed(
        {"table": {"family": "inet", "name": TABLE}},
        {"set": {"name": "blocked4", "elem": list(elements)}},
        {"set": {"name": "blocked6"}},
        {"rule": {"chain": chain, "expr": expr}},
    )


@pytest.mark.parametrize(("ip", "name"), [("192.0.2.1", "blocked4"), ("2001:DB8:0::1", "blocked6")])
async def test_addresses_stand_in_the_input_alone_and_in_canonical_form(ip: str, name: str) -> None:
    hosts = Answering([Ran(0, b""), Ran(0, b"")])
    blocking = NftGate(hosts, "sudo nft")
    await blocking.block(GATEWAY, [ip])
    await blocking.lift(GATEWAY, [ip])
    assert [command for command, _ in hosts.asked] == ["sudo nft -j -f -"] * 2
    ensured, lifted = (json.loads(stdin)["nftables"] for _, stdin in hosts.asked)
    element = {
        "family": "inet",
        "table": TABLE,
        "name": name,
        "elem": [ip.lower().replace(":0::", "::")],
    }
    assert ensured[-1] == {"add": {"element": element}}
    assert lifted == [*ensured, {"delete": {"element": element}}]


async def test_many_addresses_are_one_command_with_one_list_for_each_set() -> None:
    hosts = Answering([Ran(0, b""), Ran(0, b"")])
    ips = ["192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"]
    await NftGate(hosts).block(GATEWAY, ips)
    await NftGate(hosts).lift(GATEWAY, ips)
    blocked, lifted = (
        [
            (verb, of["element"]["name"], of["element"]["elem"])
            for command in json.loads(stdin)["nftables"]
            for verb, of in command.items()
            if "element" in of
        ]
        for _, stdin in hosts.asked
    )
    sets = [("blocked4", ["192.0.2.1", "192.0.2.2"]), ("blocked6", ["2001:db8::1", "2001:db8::2"])]
    assert blocked == [("add", *each) for each in sets]
    assert lifted == [("add", *each) for each in sets] + [("delete", *each) for each in sets]


async def test_a_change_is_one_transaction_that_makes_the_whole_table() -> None:
    hosts = Answering([Ran(0, b"")])
    await NftGate(hosts).block(GATEWAY, ["192.0.2.1"])
    commands = json.loads(hosts.asked[0][1])["nftables"]
    done = [(verb, *of) for command in commands for verb, of in command.items()]
    rule = ("add", "rule")
    assert done == [
        ("add", "table"),
        ("add", "counter"),
        ("add", "set"),
        ("add", "set"),
        ("add", "chain"),
        ("flush", "chain"),  # or rules would pile up
        rule,
        rule,
        ("add", "element"),
    ]


@pytest.mark.parametrize(
    "ip",
    ["", "192.0.2", "192.0.2.0/24", "192.0.2.1\n", "x; flush ruleset", "fe80::1% }; flush ruleset"],
)
async def test_what_is_no_address_is_sent_nowhere(ip: str) -> None:
    with pytest.raises(ValueError):
        await gate().block(GATEWAY, ["192.0.2.1", ip])
    with pytest.raises(ValueError):
        await gate().lift(GATEWAY, ["192.0.2.1", ip])
    with pytest.raises(ValueError):
        await gate().holds(GATEWAY, ip)


async def test_what_a_rule_refuses_is_blocked() -> None:
    with_comment = {"elem": {"val": "192.0.2.2", "comment": "by hand"}}
    blocked = await gate(table("192.0.2.1", with_comment)).blocked(GATEWAY)
    assert blocked == {"192.0.2.1", "192.0.2.2"}
    assert await gate(table("192.0.2.1")).holds(GATEWAY, "192.0.2.1")
    assert not await gate(table("192.0.2.1")).holds(GATEWAY, "192.0.2.2")


@pytest.mark.parametrize(
    "answer",
    [
        table("192.0.2.1", expr=[]),
        table("192.0.2.1", expr=REJECT[:-1]),
        table("192.0.2.1", expr=REJECT[1:]),
        table("192.0.2.1", chain="other"),
        table("192.0.2.1", expr=[{"match": {"right": "@blocked6"}}, {"reject": None}]),
    ],
    ids=["no words", "no refusal", "no set", "another chain", "another set"],
)
async def test_what_stands_in_a_set_that_no_rule_refuses_is_not_blocked(answer: Ran) -> None:
    assert await gate(answer).blocked(GATEWAY) == frozenset()


@pytest.mark.parametrize("tables", [[], [{"table": {"family": "inet", "name": "filter"}}]])
async def test_without_the_table_nothing_is_blocked(tables: list[Any]) -> None:
    missing = Ran(1, b"")
    assert await gate(missing, listed(*tables)).blocked(GATEWAY) == frozenset()
    assert not await gate(missing, listed(*tables)).holds(GATEWAY, "192.0.2.1")


@pytest.mark.parametrize(
    "answers",
    [
        [Ran(1, b""), Ran(1, b"")],
        [Ran(127, b""), Ran(127, b"")],
        [Ran(1, b""), listed({"table": {"family": "inet", "name": TABLE}})],
    ],
    ids=["not allowed", "not installed", "not readable"],
)
async def test_a_refusal_is_never_taken_for_an_empty_gate(answers: list[Ran]) -> None:
    with pytest.raises(GateFailed, match="refused the command"):
        await gate(*answers).blocked(GATEWAY)


async def test_a_change_that_is_refused_fails() -> None:
    with pytest.raises(GateFailed, match="refused the command"):
        await gate(Ran(1, b"")).block(GATEWAY, ["192.0.2.1"])
    with pytest.raises(GateFailed, match="refused the command"):
        await gate(Ran(1, b"")).lift(GATEWAY, ["192.0.2.1"])


async def test_a_gateway_that_cannot_be_reached_says_why() -> None:
    with pytest.raises(GateFailed, match="It cannot be reached"):
        await gate(HostUnreachable("It cannot be reached.")).blocked(GATEWAY)
    with pytest.raises(GateFailed, match="It refused our login"):
        await gate(HostUnreachable("It refused our login.")).block(GATEWAY, ["192.0.2.1"])


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"\xff",
        b"table inet f2hcloud_mail {}",
        b"[" * 100_000,
        b"[]",
        b"null",
        b"{}",
        b'{"nftables": 5}',
        b'{"nftables": [5]}',
        b'{"nftables": ["set"]}',
        b'{"nftables": [{"set": []}]}',
        b'{"nftables": [{"rule": null}]}',
        table(5).output,
        table("here").output,
        table("192.0.2.0/24").output,
        table({"prefix": {"addr": "192.0.2.0", "len": 24}}).output,
        table({"elem": {"comment": "by hand"}}).output,
        table({"elem": "192.0.2.1"}).output,
        table("fe80::1%eth0").output,
    ],
)
async def test_an_answer_of_another_shape_is_nonsense(output: bytes) -> None:
    with pytest.raises(GateFailed, match="does not answer as it should"):
        await gate(Ran(0, output)).blocked(GATEWAY)


@pytest.mark.parametrize(
    "output", [b"", b"[]", b'{"nftables": [{"table": 5}]}', b'{"nftables": [{"table": "x"}]}']
)
async def test_tables_of_another_shape_are_nonsense(output: bytes) -> None:
    with pytest.raises(GateFailed, match="does not answer as it should"):
        await gate(Ran(1, b""), Ran(0, output)).blocked(GATEWAY)


@pytest.mark.parametrize(
    "rule", [{}, {"chain": CHAIN}, {"chain": CHAIN, "expr": [None, "accept", {"match": None}]}]
)
async def test_rules_of_others_are_passed_over(rule: dict[str, Any]) -> None:
    assert await gate(listed({"rule": rule})).blocked(GATEWAY) == frozenset()
