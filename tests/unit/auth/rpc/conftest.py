"""auth, served on a database of its own; the inventory is a stand-in."""

import asyncio
import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

import grpc.aio
import pytest

from services.auth.accounts.account import Account, Kind
from services.auth.bootstrap import Auth, build
from services.auth.keys.key import Owned
from services.auth.settings import AuthSettings
from services.auth.store import MIGRATIONS
from services.auth.store.accounts import SqlAccounts
from services.runtime.clock import system_clock
from services.runtime.database import Database, migrate
from tests.unit.serving import SIGNING_KEY, new_address, served


class OwnedServers:
    """An inventory: two servers are demo's."""

    async def owned(self, account: str, hostnames: list[str]) -> Owned:
        demos = {"ns1.example.net", "ns2.example.net"} if account == "demo" else set()
        return Owned(frozenset(demos & set(hostnames)), len(demos))


class ServeAuth(Protocol):
    """Serves auth on a database at an address."""

    def __call__(self, database_url: str, address: str) -> AbstractContextManager[Auth]: ...


def _serve(database_url: str, address: str) -> AbstractContextManager[Auth]:
    settings = AuthSettings.model_validate(
        {
            "database_url": database_url,
            "peppers": {1: {"key": base64.b64encode(bytes(32)).decode()}},
            "signing_keys": {
                1: {"key": base64.b64encode(SIGNING_KEY.private_bytes_raw()).decode()}
            },
            "sealing_keys": {1: base64.b64encode(bytes(32)).decode()},
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
    new_database(url)
    return url


def new_database(url: str) -> None:
    """Makes the tables, and the accounts that tests make keys for."""
    migrate(url, MIGRATIONS)
    asyncio.run(_add_accounts(url))


async def _add_accounts(url: str) -> None:
    database = Database(url)
    accounts = SqlAccounts(database)
    for account in ("demo", "other", "paged", "full"):
        await accounts.add(Account(account, Kind.CUSTOMER, system_clock()))
    await database.close()


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    return new_address()


@pytest.fixture(scope="module")
def grpc_server(
    grpc_addr: str, auth_database: str, serve_auth: ServeAuth
) -> Iterator[grpc.aio.Server]:
    with serve_auth(auth_database, grpc_addr) as auth:
        yield auth.server
