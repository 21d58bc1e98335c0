"""Promise 7: what was taken away is refused within a second, by every auth process.

Three processes share a database, SQLite or PostgreSQL, and nothing else. One is told; each is
asked again and again, as the edge asks, until it refuses.
"""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from f2h.access.v1.principal_pb2 import Principal
from f2h.auth.v1 import (
    account_pb2,
    account_pb2_grpc,
    key_pb2,
    key_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)
from f2h.edge.v1 import authorization_pb2, authorization_pb2_grpc
from google.protobuf.field_mask_pb2 import FieldMask
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lab.ports import HOST, free_port
from lab.process import Process
from lab.stack import ROOT
from services.auth import rotation
from services.auth.store import MIGRATIONS
from services.runtime.access import Audience, Role
from services.runtime.database import migrate
from services.runtime.principal import HEADER, PrincipalSigner
from tests.integration.signing import signer_of

REPLICAS = 3
ROUNDS = 4
PROMISED_SECONDS = 1.0

ME = "/f2h.auth.v1.SessionService/GetMe"
UNBLOCK = "/f2h.security.v1.AntihackService/UnblockUsAddress"


@dataclass
class Replicas:
    """Auth processes on one database."""

    channels: list[grpc.Channel]
    signer: PrincipalSigner

    def noc(self) -> tuple[tuple[str, str], ...]:
        principal = Principal(
            audience=Audience.NOC, subject="f" * 16, expire_seconds=int(time.time()) + 60
        )
        return ((HEADER, self.signer.sign(principal)),)

    def key(self, **form: Any) -> tuple[str, str]:
        """A new key's id and text."""
        request = key_pb2.CreateKeyRequest(
            account="acme", capabilities=["antihack.us_unblock"], **form
        )
        stub = key_pb2_grpc.KeyServiceStub(self.channels[0])
        answer = stub.CreateKey(request, metadata=self.noc(), timeout=10)
        return answer.key.id, answer.secret

    def cookie(self) -> tuple[str, str]:
        """A new user's id, and the Cookie header of a session."""
        form = user_pb2.CreateUserRequest(
            account="acme", email=f"user{time.monotonic_ns()}@example.net", role=Role.MEMBER
        )
        users = user_pb2_grpc.UserServiceStub(self.channels[0])
        made = users.CreateUser(form, metadata=self.noc(), timeout=10)
        sessions = session_pb2_grpc.SessionServiceStub(self.channels[0])
        request = session_pb2.LoginRequest(email=form.email, password=made.password)
        _, call = sessions.Login.with_call(request, timeout=10)
        cookie = str(dict(call.initial_metadata())["set-cookie"])
        return made.user.id, cookie.partition(";")[0]

    def passes(self, channel: grpc.Channel, headers: dict[str, str]) -> bool:
        """Whether the process lets the edge forward a call with these headers."""
        path = UNBLOCK if "x-api-key" in headers else ME
        context = authorization_pb2.AttributeContext
        request = authorization_pb2.CheckRequest(
            attributes=context(
                request=context.Request(
                    http=context.HttpRequest(
                        headers={"x-f2h-client": "203.0.113.4", **headers}, path=path
                    )
                ),
                context_extensions={"listener": "public"},
            )
        )
        stub = authorization_pb2_grpc.AuthorizationStub(channel)
        return bool(stub.Check(request, timeout=5).status.code == 0)

    def seconds_until_refused(
        self, headers: dict[str, str], take_away: Callable[[], object]
    ) -> list[float]:
        """For each process, how long after it was taken away the credential last passed."""
        assert all(self.passes(channel, headers) for channel in self.channels)
        last = [0.0] * len(self.channels)
        told = threading.Event()

        def ask(index: int) -> None:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                began = time.monotonic()
                if self.passes(self.channels[index], headers):
                    last[index] = began
                elif told.is_set():
                    return

        threads = [
            threading.Thread(target=ask, args=(index,)) for index in range(len(self.channels))
        ]
        for thread in threads:
            thread.start()
        take_away()
        at = time.monotonic()
        told.set()
        for thread in threads:
            thread.join()
        assert not any(self.passes(channel, headers) for channel in self.channels)
        return [max(each - at, 0.0) for each in last]


@pytest.fixture
def replicas(database_url: str, tmp_path: Path) -> Iterator[Replicas]:
    secrets = tmp_path / "secrets"
    rotation.create(secrets)
    migrate(database_url, MIGRATIONS)
    with ExitStack() as exits:
        channels = []
        for number in range(REPLICAS):
            address = f"{HOST}:{free_port()}"
            environment = {
                "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
                "F2H_SECRETS_DIR": str(secrets),
                "F2H_AUTH_LISTEN": address,
                "F2H_AUTH_DATABASE_URL": database_url,
            }
            process = Process(
                f"auth{number}",
                [sys.executable, "-m", "services.auth"],
                tmp_path / f"auth{number}.log",
                environment,
            )
            exits.callback(process.stop)
            channel = exits.enter_context(grpc.insecure_channel(address))
            health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=30, wait_for_ready=True
            )
            channels.append(channel)
        found = Replicas(channels, signer_of(secrets))
        account_pb2_grpc.AccountServiceStub(channels[0]).CreateAccount(
            account_pb2.CreateAccountRequest(id="acme"), metadata=found.noc(), timeout=10
        )
        yield found


def test_what_was_taken_from_a_key_is_refused_everywhere_within_a_second(
    replicas: Replicas,
) -> None:
    keys = key_pb2_grpc.KeyServiceStub(replicas.channels[0])
    users = user_pb2_grpc.UserServiceStub(replicas.channels[0])
    noc = replicas.noc()
    took: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        key_id, text = replicas.key()
        took["revoked"] += replicas.seconds_until_refused(
            {"x-api-key": text},
            lambda: keys.RevokeKey(key_pb2.RevokeKeyRequest(id=key_id), metadata=noc),  # noqa: B023
        )
        key_id, text = replicas.key()
        took["rotated"] += replicas.seconds_until_refused(
            {"x-api-key": text},
            lambda: keys.RotateKey(key_pb2.RotateKeyRequest(id=key_id), metadata=noc),  # noqa: B023
        )
        key_id, text = replicas.key()
        change = key_pb2.UpdateKeyRequest(
            id=key_id, cidrs=["198.51.100.0/24"], update_mask=FieldMask(paths=["cidrs"])
        )
        took["other networks"] += replicas.seconds_until_refused(
            {"x-api-key": text},
            lambda: keys.UpdateKey(change, metadata=noc),  # noqa: B023
        )
        user_id, cookie = replicas.cookie()
        took["signed out"] += replicas.seconds_until_refused(
            {"cookie": cookie},
            lambda: users.EndUserSessions(
                user_pb2.EndUserSessionsRequest(id=user_id),  # noqa: B023
                metadata=noc,
            ),
        )
    for what, seconds in took.items():
        print(f"{what}: passed for {max(seconds):.3f} s at most, of {len(seconds)} measured")
        assert max(seconds) <= PROMISED_SECONDS
