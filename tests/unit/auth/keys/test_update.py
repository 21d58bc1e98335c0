from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from f2h.access.v1.reason_pb2 import Reason
from hypothesis import given
from hypothesis import strategies as st

from services.auth.keys.key import ApiKey, Audience
from services.auth.keys.update import KeyChange, narrowed, require_of
from services.runtime.errors import ApiError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

KEY = ApiKey(
    id="0" * 16,
    audience=Audience.CUSTOMER,
    account="demo",
    label="CI",
    capabilities=("antihack.us_unblock", "server.details", "server.reboot"),
    servers=("ns1.example.net", "ns2.example.net"),
    cidrs=("203.0.113.4/32",),
    create_time=NOW,
)


def fields(change: KeyChange) -> set[str]:
    """The fields that a refusal names."""
    with pytest.raises(ApiError) as refused:
        narrowed(KEY, change)
    assert refused.value.reason == Reason.INVALID_REQUEST
    return {violation.field for violation in refused.value.violations}


def test_what_is_not_named_stays() -> None:
    assert narrowed(KEY, KeyChange(label="new")) == replace(KEY, label="new")
    assert narrowed(KEY, KeyChange(label="")) == replace(KEY, label="")


def test_networks_change_freely_and_are_kept_in_one_form() -> None:
    changed = narrowed(KEY, KeyChange(cidrs=("2001:DB8::/32", "::ffff:198.51.100.0/120")))
    assert changed.cidrs == ("2001:db8::/32", "198.51.100.0/24")
    assert narrowed(KEY, KeyChange(cidrs=())).cidrs == ()


NAMES = ("antihack.us_unblock", "server.details", "server.reboot", "ptr.update", "nonsense")
HOSTS = ("ns1.example.net", "NS2.example.net", "ns3.example.net")


@given(
    capabilities=st.none() | st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    servers=st.none() | st.lists(st.sampled_from(HOSTS), unique=True).map(tuple),
)
def test_no_change_gives_a_key_more(
    capabilities: tuple[str, ...] | None, servers: tuple[str, ...] | None
) -> None:
    change = KeyChange(capabilities=capabilities, servers=servers)
    try:
        changed = narrowed(KEY, change)
    except ApiError:
        return
    assert {*changed.capabilities} <= {*KEY.capabilities}
    assert {*changed.servers} <= {*KEY.servers}
    assert changed.capabilities
    if capabilities is not None:
        assert {*changed.capabilities} == {*capabilities}
    if servers is not None:
        assert {*changed.servers} == {server.lower() for server in servers}


def test_every_field_that_would_give_more_is_named() -> None:
    change = KeyChange(capabilities=("ptr.update",), servers=("ns3.example.net",))
    assert fields(change) == {"capabilities", "servers"}
    assert fields(KeyChange(capabilities=())) == {"capabilities"}
    assert fields(KeyChange(servers=())) == {"servers"}


def test_a_key_without_server_capabilities_may_lose_its_servers() -> None:
    changed = narrowed(KEY, KeyChange(capabilities=("antihack.us_unblock",), servers=()))
    assert changed.servers == ()


def test_another_accounts_key_is_not_there() -> None:
    require_of(KEY, "demo")
    require_of(KEY, None)
    with pytest.raises(ApiError) as refused:
        require_of(KEY, "other")
    assert refused.value.reason == Reason.NOT_FOUND


@pytest.mark.parametrize(
    "key", [replace(KEY, revoke_time=NOW), replace(KEY, expire_time=NOW - timedelta(seconds=1))]
)
def test_a_key_that_is_past_use_is_past_change(key: ApiKey) -> None:
    with pytest.raises(ApiError) as refused:
        key.require_active(NOW)
    assert refused.value.reason == Reason.KEY_NOT_ACTIVE
    assert refused.value.metadata == {"state": key.state(NOW)}
