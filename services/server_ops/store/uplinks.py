"""How servers are connected, in the database. The logins at switches are sealed."""

from datetime import timedelta

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlmodel import col

from services.runtime.database import Database, utc
from services.runtime.sealing import Sealer
from services.server_ops.monitoring.series import RAW
from services.server_ops.monitoring.uplink import SnmpLogin, Uplink
from services.server_ops.store.tables import MonitoredRow, ServerRow, UplinkRow

_LOGIN: TypeAdapter[SnmpLogin] = TypeAdapter(SnmpLogin)


class SqlUplinks:
    """Implements Uplinks."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def find(self, hostname: str) -> Uplink | None:
        query = select(UplinkRow).where(col(UplinkRow.hostname) == hostname)
        rows = await self._database.fetch(query)
        if not rows:
            return None
        row = rows[0]
        login = _LOGIN.validate_json(self._sealer.open(_place(hostname), row.login))
        return Uplink(row.switch_address, row.switch_port, row.interface, login)

    async def put(self, hostname: str, uplink: Uplink) -> None:
        sealed = self._sealer.seal(_place(hostname), _LOGIN.dump_json(uplink.login))
        async with self._database.write() as session:
            if await session.get(ServerRow, hostname) is None:
                raise LookupError(hostname)
            await session.merge(
                UplinkRow(
                    hostname=hostname,
                    switch_address=uplink.switch_address,
                    switch_port=uplink.switch_port,
                    interface=uplink.interface,
                    login=sealed,
                )
            )
            # Measured at once, and from then on at the second of the minute that is the server's.
            monitored = await session.get_one(MonitoredRow, hostname, with_for_update=True)
            monitored.due_time = utc(monitored.due_time) - timedelta(seconds=RAW.step)

    async def delete(self, hostname: str) -> bool:
        async with self._database.write() as session:
            row = await session.get(UplinkRow, hostname)
            if row is None:
                return False
            await session.delete(row)
        return True


def _place(hostname: str) -> str:
    """What the seal is bound to: no other secret of the server can stand in its place."""
    return f"uplink {hostname}"
