"""Which reasons a call can be answered with."""

import pytest
from f2h.access.v1 import reason_pb2
from f2h.access.v1.reason_pb2 import Reason

# What expected() looks up is known to Python once it was imported.
from f2h.auth.v1 import key_pb2, session_pb2  # noqa: F401
from f2h.security.v1 import spam_block_pb2  # noqa: F401
from f2h.server_ops.v1 import netboot_pb2, operation_pb2, ptr_pb2, reboot_pb2  # noqa: F401

from services.runtime import reasons

REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"
GET_ME = "/f2h.auth.v1.SessionService/GetMe"
LOGIN = "/f2h.auth.v1.SessionService/Login"


def names(path: str) -> set[str]:
    found = reasons.expected(path)
    assert found is not None
    return {Reason.Name(reason) for reason in found}


def test_a_customers_call_fails_by_its_rule_and_by_what_it_says_itself() -> None:
    assert names(REBOOT) == {
        *("CREDENTIAL_MISSING", "CREDENTIAL_INVALID", "KEY_REVOKED", "KEY_EXPIRED"),
        *("ADDRESS_NOT_ALLOWED", "AUDIENCE_NOT_ALLOWED", "CAPABILITY_MISSING"),
        *("SESSION_INVALID", "PRINCIPAL_INVALID", "SERVER_NOT_GRANTED"),
        *("INVALID_REQUEST", "REQUEST_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"),
        *("RATE_LIMITED", "OVERLOADED", "DEPENDENCY_UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"),
        *("SERVER_BUSY", "REQUEST_ID_REUSED"),
        *("ROLE_MISSING", "ORIGIN_NOT_ALLOWED"),  # a person's
    }


def test_looking_needs_no_origin_and_no_role() -> None:
    assert not {"ORIGIN_NOT_ALLOWED", "ROLE_MISSING", "REQUEST_TOO_LARGE"} & names(GET_ME)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (LOGIN, "ORIGIN_NOT_ALLOWED"),
        (LOGIN, "SIGN_IN_FAILED"),
        ("/f2h.auth.v1.KeyService/CreateKey", "ROLE_MISSING"),
        ("/f2h.auth.v1.KeyService/CreateKey", "ORIGIN_NOT_ALLOWED"),
        ("/f2h.server_ops.v1.PtrService/GetPtr", "SERVER_NOT_GRANTED"),
        ("/f2h.server_ops.v1.OperationService/GetOperation", "NOT_FOUND"),
    ],
)
def test_a_call_fails_by_what_its_rule_asks_for(path: str, reason: str) -> None:
    assert reason in names(path)


@pytest.mark.parametrize("path", [LOGIN, "/f2h.server_ops.v1.NetbootService/BeginBoot"])
def test_who_need_not_be_known_is_not_asked_for_a_credential(path: str) -> None:
    assert not {"CREDENTIAL_MISSING", "KEY_REVOKED"} & names(path)
    assert "PRINCIPAL_INVALID" in names(path), "to who comes past the edge without business there"


def test_the_noc_is_not_told_that_a_server_is_not_granted() -> None:
    assert "SERVER_NOT_GRANTED" not in names("/f2h.security.v1.SpamBlockService/PutSpamBlock")


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Check", "/no.Service/Method"])
def test_nothing_is_expected_of_what_is_not_our_contract(path: str) -> None:
    assert reasons.expected(path) is None


def test_every_reason_says_whether_to_ask_again() -> None:
    info = {
        value.name: value.GetOptions().Extensions[reason_pb2.info]
        for value in Reason.DESCRIPTOR.values
        if value.number
    }
    silent = [name for name, said in info.items() if not said.retry]
    assert silent == []
