"""Peer (a): the same job as one FastAPI application with SQLModel on SQLite, as tutorials write it.

`uvicorn bench.peers.monolith:app`, with PEER_DATABASE naming the SQLite file. The job is that of
`GET /api/servers/{hostname}`: the key's digest, revocation, expiry, networks, capability, granted
server and owner are checked, and the server is answered.
"""

import hashlib
import hmac
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from sqlmodel import JSON, Column, Field, Session, SQLModel, create_engine, select

PEPPER = b"p" * 32

engine = create_engine(
    f"sqlite:///{os.environ['PEER_DATABASE']}", connect_args={"check_same_thread": False}
)
app = FastAPI()


class ApiKey(SQLModel, table=True):
    id: str = Field(primary_key=True)
    account: str
    digest: str
    capabilities: list[str] = Field(sa_column=Column(JSON))
    servers: list[str] = Field(sa_column=Column(JSON))
    cidrs: list[str] = Field(sa_column=Column(JSON))
    revoked: bool = False
    expires: datetime | None = None


class Server(SQLModel, table=True):
    hostname: str = Field(primary_key=True)
    account: str
    ips: list[str] = Field(sa_column=Column(JSON))
    datacenter: str
    mac: str
    create_time: datetime


class Operation(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    server: str = Field(index=True)
    done: bool = False


class ServerPublic(SQLModel):
    hostname: str
    ips: list[str]
    datacenter: str
    mac: str
    create_time: datetime
    current_operation: str


def digest(secret: str) -> str:
    return hmac.new(PEPPER, secret.encode(), hashlib.sha256).hexdigest()


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


def get_key(
    request: Request, session: SessionDep, x_api_key: Annotated[str | None, Header()] = None
) -> ApiKey:
    if x_api_key is None or x_api_key.count(".") != 2:
        raise HTTPException(401, "missing or malformed key")
    _, key_id, secret = x_api_key.split(".")
    key = session.get(ApiKey, key_id)
    if key is None or not hmac.compare_digest(key.digest, digest(secret)):
        raise HTTPException(401, "wrong key")
    if key.revoked or (key.expires and key.expires < datetime.now(UTC)):
        raise HTTPException(401, "key is not active")
    client = ip_address(request.client.host if request.client else "0.0.0.0")
    if key.cidrs and not any(client in ip_network(cidr) for cidr in key.cidrs):
        raise HTTPException(403, "address not allowed")
    return key


@app.get("/api/servers/{hostname}")
def get_server(
    hostname: str, session: SessionDep, key: Annotated[ApiKey, Depends(get_key)]
) -> ServerPublic:
    if "server.details" not in key.capabilities:
        raise HTTPException(403, "capability missing")
    server = session.get(Server, hostname)
    if server is None or hostname not in key.servers or server.account != key.account:
        raise HTTPException(403, "server not granted")
    holding = session.exec(
        select(Operation).where(Operation.server == hostname, Operation.done == False)  # noqa: E712
    ).first()
    return ServerPublic(
        **server.model_dump(), current_operation=f"operations/{holding.id}" if holding else ""
    )


def prepare(key_id: str, secret: str, hostname: str) -> None:
    """Makes the tables and puts one key and one server into them."""
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(
            ApiKey(
                id=key_id,
                account="demo",
                digest=digest(secret),
                capabilities=["server.details", "server.reboot"],
                servers=[hostname],
                cidrs=["127.0.0.0/8"],
            )
        )
        session.add(
            Server(
                hostname=hostname,
                account="demo",
                ips=["149.202.215.3"],
                datacenter="EU-WEST-F2H",
                mac="0c:c4:7a:00:00:01",
                create_time=datetime.now(UTC),
            )
        )
        session.commit()
