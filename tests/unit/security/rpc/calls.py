"""Calls that are refused."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.unit.serving import Metadata, status_of


def refusal(rpc: Any, request: Any, metadata: Metadata) -> Any:
    """The google.rpc.Status of a refused call."""
    with pytest.raises(grpc.RpcError) as refused:
        rpc(request, metadata=metadata, timeout=10)
    return status_of(refused.value)


def retry_seconds(status: Any) -> float:
    """After how long a refusal says to ask again."""
    retry = error_details_pb2.RetryInfo()
    for each in status.details:
        if each.Unpack(retry):
            delay = retry.retry_delay.ToTimedelta()
            return float(delay.total_seconds())
    raise AssertionError("it says nothing of that")
