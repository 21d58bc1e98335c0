"""security, served; auth is a stand-in that knows one policy and records nothing."""

import base64
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from f2h.access.v1 import principal_pb2
from f2h.auth.v1 import audit_pb2, audit_pb2_grpc, policy_pb2, policy_pb2_grpc

from services.runtime.access import CATALOGUE
from services.runtime.policy import Policy
from services.security.bootstrap import build
from services.security.settings import SecuritySettings
from tests.unit.serving import SIGNING_KEY, new_address, served


class OnePolicy(policy_pb2_grpc.PolicyServiceServicer):
    """The part of auth that security asks."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def GetPolicy(
        self, request: policy_pb2.GetPolicyRequest, context: Any
    ) -> principal_pb2.Policy:
        if request.digest != self._policy.digest().hex():
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such policy")
        return principal_pb2.Policy.FromString(self._policy.encode())


class Trail(audit_pb2_grpc.AuditServiceServicer):
    """Writes everything down, that is: lets everything be done."""

    async def RecordAttempt(self, request: Any, context: Any) -> Any:
        return audit_pb2.RecordAttemptResponse(sequence=1)

    async def RecordOutcome(self, request: Any, context: Any) -> Any:
        return audit_pb2.RecordOutcomeResponse()

    async def _unasked(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    ListAuditRecords = GetAuditCheckpoint = _unasked


@pytest.fixture(scope="module")
def everything() -> Policy:
    """The policy that may do everything, on one server."""
    return Policy(CATALOGUE, ["ns1.example.net"])


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    return new_address()


@pytest.fixture(scope="module")
def grpc_server(grpc_addr: str, everything: Policy) -> Iterator[grpc.aio.Server]:
    @asynccontextmanager
    async def stand_in() -> AsyncIterator[grpc.aio.Server]:
        server = grpc.aio.server()
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(OnePolicy(everything), server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(Trail(), server)
        yield server

    with socket.create_server(("127.0.0.1", 0)) as free:
        auth = f"127.0.0.1:{free.getsockname()[1]}"
    key = base64.b64encode(SIGNING_KEY.public_key().public_bytes_raw()).decode()
    settings = SecuritySettings.model_validate({"auth": auth, "principal_public_keys": {1: key}})
    with (
        served(stand_in, lambda server: server, auth),
        served(lambda: build(settings), lambda server: server, grpc_addr) as server,
    ):
        yield server
