"""auth, served on a database of its own; the inventory is a stand-in."""

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

import grpc.aio
import pytest

from services.auth.__main__ import MIGRATIONS
from services.auth.bootstrap import Auth, build
from services.auth.settings import AuthSettings
from services.runtime.database import migrate
from tests.unit.serving import SIGNING_KEY, new_address, served


class OwnedServers:
    """An inventory: two servers are demo's."""

    async def owned(self, account: str, hostnames: list[str]) -> frozenset[str]:
        demos = {"ns1.example.net", "ns2.example.net"} if account == "demo" else set()
        return frozenset(demos & set(hostnames))


class ServeAuth(Protocol):
    """Serves auth on a database at an address."""

    def __call__(self, database_url: str, address: str) -> AbstractContextManager[Auth]: ...


def _serve(database_url: str, address: str) -> AbstractContextManager[Auth]:
    settings = AuthSettings.model_validate(
        {
            "database_url": database_url,
            "peppers": {1: base64.b64encode(bytes(32)).decode()},
            "principal_signing_key": {
                "number": 1,
                "key": base64.b64encode(SIGNING_KEY.private_bytes_raw()).decode(),
            },
        }
    )
    make = partial(build, settings, inventory=OwnedServers())
    return served(make, lambda auth: auth.server, address)


@pytest.fixture(scope="module")
def serve_auth() -> ServeAuth:
    return _serve


@pytest.fixture(scope="module")
def auth_database(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('auth') / 'auth.db'}"
    migrate(url, MIGRATIONS)
    return url


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    return new_address()


@pytest.fixture(scope="module")
def grpc_server(
    grpc_addr: str, auth_database: str, serve_auth: ServeAuth
) -> Iterator[grpc.aio.Server]:
    with serve_auth(auth_database, grpc_addr) as auth:
        yield auth.server
