from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.auth.keys.create import CreateKey, KeyForm
from services.auth.keys.expiry import Expiry
from services.auth.keys.key import ApiKey, Audience, Inventory, NewKey, Owned, SecretDigest, State
from services.auth.keys.secret import KeyText, generate
from services.runtime.access import CATALOGUE
from services.runtime.errors import ApiError
from tests.unit.auth.rings import digests

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DIGESTS = digests({1: bytes(32), 2: bytes(range(32))})
TEXT = generate()

FORM = KeyForm(
    account="demo",
    label="CI, monitoring",
    servers=("ns1.example.net",),
    capabilities=("server.reboot",),
    cidrs=(),
    expire_time=None,
)


OWNERS = {"ns1.example.net": "demo", "ns2.example.net": "demo", "ns3.example.net": "other"}


class KeptKeys:
    """Keys in a list."""

    def __init__(self) -> None:
        self.kept: list[tuple[ApiKey, SecretDigest]] = []

    async def add(self, new: NewKey) -> None:
        self.kept.append((new.key, new.digest))

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


class OwnedServers:
    """An inventory of two accounts. As server_ops does, it refuses to be asked for no account."""

    async def owned(self, account: str, hostnames: list[str]) -> Owned:
        if not account:
            raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, "server_ops refused the question")
        owned = frozenset(name for name in hostnames if OWNERS.get(name) == account)
        return Owned(owned, [*OWNERS.values()].count(account))


async def account_exists(account: str) -> bool:
    return account in {"demo", "other", "acme"}


@pytest.fixture
def keys() -> KeptKeys:
    return KeptKeys()


@pytest.fixture
def create(keys: KeptKeys) -> CreateKey:
    return creating(keys, Expiry())


def creating(keys: KeptKeys, expiry: Expiry, inventory: Inventory | None = None) -> CreateKey:
    return CreateKey(
        keys,
        inventory or OwnedServers(),
        DIGESTS,
        expiry,
        lambda: NOW,
        account_exists=account_exists,
        generate=lambda: TEXT,
    )


async def violations(create: CreateKey, keys: KeptKeys, form: KeyForm) -> dict[str, str]:
    """What the form's refusal says, by field; nothing was kept."""
    with pytest.raises(ApiError) as refused:
        await create.for_customer(form)
    assert refused.value.reason == Reason.INVALID_REQUEST
    assert keys.kept == []
    for violation in refused.value.violations:
        assert violation.description in refused.value.message
    return {violation.field: violation.description for violation in refused.value.violations}


async def test_a_key_is_kept_as_it_was_asked_for_and_its_secret_is_not(
    create: CreateKey, keys: KeptKeys
) -> None:
    key, text = await create.for_customer(FORM)
    assert text == TEXT
    assert key == ApiKey(
        id=TEXT.id,
        audience=Audience.CUSTOMER,
        account="demo",
        label="CI, monitoring",
        capabilities=("server.reboot",),
        servers=("ns1.example.net",),
        cidrs=(),
        create_time=NOW,
    )
    assert key.state(NOW) == State.ACTIVE
    [(kept, digest)] = keys.kept
    assert kept == key
    assert digest == SecretDigest(2, DIGESTS.digest(TEXT.secret, 2))
    assert TEXT.secret not in repr(keys.kept)


async def test_an_unknown_capability_is_answered_with_those_that_there_are(
    create: CreateKey, keys: KeptKeys
) -> None:
    form = replace(FORM, capabilities=("server.reboot", "server.explode", "SERVER.REBOOT"))
    told = await violations(create, keys, form)
    assert set(told) == {"capabilities"}
    assert "server.explode, SERVER.REBOOT" in told["capabilities"]
    for capability in CATALOGUE:
        assert capability in told["capabilities"]


@pytest.mark.parametrize(
    "capability", [each for each in CATALOGUE if each != "antihack.us_unblock"]
)
async def test_a_server_capability_needs_a_server(
    create: CreateKey, keys: KeptKeys, capability: str
) -> None:
    form = replace(FORM, servers=(), capabilities=("antihack.us_unblock", capability))
    assert set(await violations(create, keys, form)) == {"servers"}


async def test_a_body_capability_alone_needs_no_server(create: CreateKey) -> None:
    form = replace(FORM, servers=(), capabilities=("antihack.us_unblock",))
    key, _ = await create.for_customer(form)
    assert key.servers == ()


@pytest.mark.parametrize("stranger", ["ns3.example.net", "ns9.example.net"])
async def test_a_server_of_another_account_is_refused_as_one_that_is_not_there(
    create: CreateKey, keys: KeptKeys, stranger: str
) -> None:
    told = await violations(create, keys, replace(FORM, servers=("ns1.example.net", stranger)))
    assert told == {"servers[1]": f"{stranger} is not a server of account demo"}


async def test_a_refused_server_has_the_index_that_it_has_in_the_form(
    create: CreateKey, keys: KeptKeys
) -> None:
    servers = ("ns1.example.net", "NS1.example.net", "ns3.example.net")
    assert set(await violations(create, keys, replace(FORM, servers=servers))) == {"servers[2]"}


async def test_hostnames_are_kept_in_lower_case_and_once(create: CreateKey) -> None:
    servers = ("NS2.Example.NET", "ns1.example.net", "ns2.example.net")
    key, _ = await create.for_customer(replace(FORM, servers=servers))
    assert key.servers == ("ns2.example.net", "ns1.example.net")


async def test_networks_are_kept_in_canonical_form_and_once(create: CreateKey) -> None:
    cidrs = ("203.0.113.4/32", "2001:DB8:0::/32", "2001:db8::/32", "0.0.0.0/0")
    key, _ = await create.for_customer(replace(FORM, cidrs=cidrs))
    assert key.cidrs == ("203.0.113.4/32", "2001:db8::/32", "0.0.0.0/0")


async def test_capabilities_are_kept_sorted_and_once(create: CreateKey) -> None:
    form = replace(FORM, capabilities=("server.reboot", "ipmi.status", "server.reboot"))
    key, _ = await create.for_customer(form)
    assert key.capabilities == ("ipmi.status", "server.reboot")


@pytest.mark.parametrize("servers", [(), ("ns1.example.net",)])
async def test_the_account_is_required(
    create: CreateKey, keys: KeptKeys, servers: tuple[str, ...]
) -> None:
    form = replace(FORM, account="", servers=servers, capabilities=("antihack.us_unblock",))
    assert "account" in await violations(create, keys, form)


async def test_every_broken_rule_is_told_at_once(create: CreateKey, keys: KeptKeys) -> None:
    form = replace(FORM, account="", servers=(), capabilities=("nothing", "server.reboot"))
    assert set(await violations(create, keys, form)) == {"account", "capabilities", "servers"}


async def test_an_inventory_that_does_not_answer_makes_no_key(keys: KeptKeys) -> None:
    class Silent:
        async def owned(self, account: str, hostnames: list[str]) -> Owned:
            raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, "no answer")

    create = creating(keys, Expiry(), Silent())
    with pytest.raises(ApiError) as refused:
        await create.for_customer(FORM)
    assert refused.value.reason == Reason.DEPENDENCY_UNAVAILABLE
    assert keys.kept == []


async def test_a_noc_key_belongs_to_no_account_and_names_nothing(
    create: CreateKey, keys: KeptKeys
) -> None:
    key, text = await create.for_noc("billing")
    assert isinstance(text, KeyText)
    assert (key.audience, key.account, key.label) == (Audience.NOC, "", "billing")
    assert key.policy().capabilities == key.policy().servers == frozenset()
    assert [kept for kept, _ in keys.kept] == [key]
