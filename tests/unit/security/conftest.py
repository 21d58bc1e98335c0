"""security, served as it is built; who it asks is a stand-in: auth and server_ops."""

import base64
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.access.v1 import principal_pb2
from f2h.auth.v1 import audit_pb2, audit_pb2_grpc, policy_pb2, policy_pb2_grpc
from f2h.server_ops.v1 import address_pb2, address_pb2_grpc, event_pb2_grpc
from google.protobuf import empty_pb2

from services.runtime.access import CATALOGUE, Audience
from services.runtime.clock import system_clock
from services.runtime.database import migrate
from services.runtime.policy import Policy
from services.runtime.principal import HEADER, PrincipalVerifier
from services.security.__main__ import MIGRATIONS
from services.security.bootstrap import build
from services.security.settings import SecuritySettings
from tests.unit.security.fakes import NS1, NS2
from tests.unit.serving import SIGNING_KEY, new_address, served

OWN_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
"""What security speaks in its own name with."""


class Policies(policy_pb2_grpc.PolicyServiceServicer):
    """The part of auth that says what keys may do."""

    def __init__(self, *policies: Policy) -> None:
        self._policies = {each.digest().hex(): each for each in policies}

    async def GetPolicy(
        self, request: policy_pb2.GetPolicyRequest, context: Any
    ) -> principal_pb2.Policy:
        if request.digest not in self._policies:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such policy")
        return principal_pb2.Policy.FromString(self._policies[request.digest].encode())


class Trail(audit_pb2_grpc.AuditServiceServicer):
    """Writes everything down, that is: lets everything be done."""

    async def RecordAttempt(self, request: Any, context: Any) -> Any:
        return audit_pb2.RecordAttemptResponse(sequence=1)

    async def RecordOutcome(self, request: Any, context: Any) -> Any:
        return audit_pb2.RecordOutcomeResponse()

    async def _unasked(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    ListAuditRecords = GetAuditCheckpoint = _unasked


class Addresses(address_pb2_grpc.AddressServiceServicer, event_pb2_grpc.EventServiceServicer):
    """The part of server_ops that security asks: it answers to nobody else."""

    def __init__(self) -> None:
        keys = {"security": OWN_KEY.public_key()}
        self._verifier = PrincipalVerifier({}, system_clock, keys)

    async def LocateServer(
        self, request: address_pb2.LocateServerRequest, context: Any
    ) -> address_pb2.LocatedServer:
        self._verify(context)
        for each in (NS1, NS2):
            if request.hostname == each.hostname or request.ip in each.ips:
                return address_pb2.LocatedServer(
                    hostname=each.hostname, account=each.account, ips=each.ips
                )
        return address_pb2.LocatedServer()

    async def ListAddresses(
        self, request: address_pb2.ListAddressesRequest, context: Any
    ) -> address_pb2.ListAddressesResponse:
        self._verify(context)
        return address_pb2.ListAddressesResponse()

    async def PublishEvent(self, request: Any, context: Any) -> empty_pb2.Empty:
        self._verify(context)
        return empty_pb2.Empty()

    def _verify(self, context: Any) -> None:
        principal = self._verifier.verify(str(dict(context.invocation_metadata())[HEADER]))
        assert (principal.audience, principal.subject) == (Audience.SERVICE, "security")


@pytest.fixture(scope="module")
def everything() -> Policy:
    """The policy that may do everything, on one server."""
    return Policy(CATALOGUE, ["ns1.example.net"])


@pytest.fixture(scope="module")
def little() -> Policy:
    """A policy that has nothing to do with security, on the same server."""
    return Policy(["server.reboot"], ["ns1.example.net"])


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    return new_address()


@pytest.fixture(scope="module")
def grpc_server(
    grpc_addr: str,
    everything: Policy,
    little: Policy,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[grpc.aio.Server]:
    @asynccontextmanager
    async def stand_in() -> AsyncIterator[grpc.aio.Server]:
        server = grpc.aio.server()
        policies = Policies(everything, little)
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(policies, server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(Trail(), server)
        address_pb2_grpc.add_AddressServiceServicer_to_server(Addresses(), server)
        event_pb2_grpc.add_EventServiceServicer_to_server(Addresses(), server)
        yield server

    with socket.create_server(("127.0.0.1", 0)) as free:
        others = f"127.0.0.1:{free.getsockname()[1]}"
    database_url = f"sqlite:///{tmp_path_factory.mktemp('security') / 'security.db'}"
    migrate(database_url, MIGRATIONS)
    key = base64.b64encode(SIGNING_KEY.public_key().public_bytes_raw()).decode()
    settings = SecuritySettings.model_validate(
        {
            "auth": others,
            "server_ops": others,
            "database_url": database_url,
            "principal_public_keys": {1: key},
            "service_key": base64.b64encode(OWN_KEY.private_bytes_raw()).decode(),
        }
    )
    with (
        served(stand_in, lambda server: server, others),
        served(lambda: build(settings), lambda server: server, grpc_addr) as server,
    ):
        yield server
