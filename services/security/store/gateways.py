"""Gateways in the database."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, select
from sqlmodel import col

from services.runtime.database import Database
from services.security.gateways.gateway import Gateway, SshLogin
from services.security.store.tables import GatewayRow


class SqlGateways:
    """Implements Gateways."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Gateway]:
        rows = await self._database.fetch(select(GatewayRow).order_by(col(GatewayRow.name)))
        return [_gateway(row) for row in rows]

    async def put(self, gateway: Gateway) -> None:
        async with self._database.write() as session:
            await session.merge(
                GatewayRow(
                    name=gateway.name,
                    region=gateway.region,
                    networks=[*gateway.networks],
                    ssh=asdict(gateway.ssh) if gateway.ssh else None,
                    socket=gateway.socket,
                    time_zone=gateway.time_zone,
                    mail_gate=gateway.mail_gate,
                )
            )

    async def delete(self, name: str) -> bool:
        async with self._database.write() as session:
            row = await session.get(GatewayRow, name)
            if row is None:
                return False
            await session.delete(row)
        return True


def _gateway(row: Row[*tuple[Any, ...]]) -> Gateway:
    return Gateway(
        name=row.name,
        region=row.region,
        networks=tuple(row.networks),
        ssh=SshLogin(**row.ssh) if row.ssh else None,
        socket=row.socket,
        time_zone=row.time_zone,
        mail_gate=row.mail_gate,
    )
