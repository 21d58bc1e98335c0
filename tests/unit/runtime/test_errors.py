from datetime import timedelta

import pytest
from f2h.access.v1.reason_pb2 import Reason
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2

from services.runtime.errors import ApiError, Violation, invalid

REASONS = [name for name in Reason.keys() if name != "REASON_UNSPECIFIED"]  # noqa: SIM118  # it is no dict


def details(error: ApiError) -> dict[str, Message]:
    """The details of an error by the name of their type; no type comes twice."""
    found: dict[str, Message] = {}
    for packed in error.status().details:
        message: Message = getattr(error_details_pb2, packed.TypeName().rpartition(".")[2])()
        assert packed.Unpack(message)
        assert packed.TypeName() not in found
        found[packed.TypeName().rpartition(".")[2]] = message
    return found


@pytest.mark.parametrize("name", REASONS)
def test_every_reason_has_a_code_and_is_told(name: str) -> None:
    error = ApiError(Reason.Value(name), "Because.", metadata={"server": "ns1.example.net"})
    status = error.status()
    assert status.code != code_pb2.OK
    assert status.code in code_pb2.Code.values()
    assert status.message == "Because."
    assert details(error) == {
        "ErrorInfo": error_details_pb2.ErrorInfo(
            reason=name, domain="f2hcloud", metadata={"server": "ns1.example.net"}
        )
    }


def test_the_answer_to_a_request_names_it() -> None:
    error = ApiError(Reason.NOT_FOUND, "No.")
    info = error_details_pb2.RequestInfo()
    assert error.status("0af7").details[-1].Unpack(info)
    assert info == error_details_pb2.RequestInfo(request_id="0af7")


def test_a_reason_that_is_none_is_never_sent() -> None:
    with pytest.raises(KeyError):
        ApiError(Reason.REASON_UNSPECIFIED, "").status()


def test_a_wrong_request_says_which_fields_are_wrong() -> None:
    violations = [Violation("cidrs[1]", "must be a network"), Violation("", "is too much")]
    found = details(ApiError(Reason.INVALID_REQUEST, "no", violations=violations))
    bad = found["BadRequest"]
    assert isinstance(bad, error_details_pb2.BadRequest)
    assert [(each.field, each.description) for each in bad.field_violations] == [
        ("cidrs[1]", "must be a network"),
        ("", "is too much"),
    ]


def test_one_wrong_field_is_said_in_one_line() -> None:
    error = invalid("account", "is required")
    assert error.reason == Reason.INVALID_REQUEST
    assert error.message == str(error) == "account: is required"
    assert error.violations == (Violation("account", "is required"),)


@pytest.mark.parametrize("seconds", [0, 0.25, 1, 90.5])
def test_when_to_ask_again_is_said(seconds: float) -> None:
    found = details(ApiError(Reason.SERVER_BUSY, "busy", retry_after_seconds=seconds))
    retry = found["RetryInfo"]
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToTimedelta() == timedelta(seconds=seconds)
