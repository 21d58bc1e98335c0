import pytest
from f2h.access.v1.principal_pb2 import Principal

from services.runtime.access import Audience
from services.runtime.call import Caller
from services.runtime.policy import Policy


def caller(audience: "Audience.ValueType", policy: Policy | None = None) -> Caller:
    return Caller(Principal(audience=audience, account="demo"), "", policy)


def test_a_key_may_what_it_holds_on_the_servers_that_it_names() -> None:
    key = caller(Audience.CUSTOMER, Policy(["server.reboot"], ["ns1.example.net"]))
    assert key.may("server.reboot")
    assert not key.may("server.power")
    assert key.may_act_on("ns1.example.net")
    assert not key.may_act_on("ns2.example.net")


def test_a_person_is_bound_by_role_and_account_alone() -> None:
    person = caller(Audience.SESSION)
    assert person.may("server.reboot")
    assert person.may_act_on("ns1.example.net")


@pytest.mark.parametrize(
    "kind", sorted({*Audience.keys()} - {"SESSION"}), ids=lambda kind: kind.lower()
)
def test_nobody_else_may_anything_without_a_policy(kind: str) -> None:
    nobody = caller(Audience.Value(kind))
    assert not nobody.may("server.reboot")
    assert not nobody.may_act_on("ns1.example.net")
