"""BMCs as customers see them: status, sensors, events, and the background check."""

from datetime import timedelta

import grpc.aio
from f2h.server_ops.v1 import ipmi_pb2_grpc

from services.server_ops.bmc.driver import Bmc
from services.server_ops.bootstrap.ground import Ground
from services.server_ops.ipmi.check import CheckBmc, Publish
from services.server_ops.ipmi.read import ReadIpmi
from services.server_ops.ipmi.sync import SyncPower
from services.server_ops.rpc.ipmi import IpmiServicer
from services.server_ops.store.bmc_statuses import SqlBmcStatuses


class Ipmi:
    """What asks BMCs and keeps what they said."""

    def __init__(self, ground: Ground, bmc: Bmc, publish: Publish) -> None:
        settings, clock, servers = ground.settings, ground.clock, ground.servers
        self.statuses = statuses = SqlBmcStatuses(ground.database)
        self.check = CheckBmc(
            servers,
            statuses,
            bmc,
            clock=clock,
            publish=publish,
            failing_after=settings.bmc_failing_after,
        )
        self.sync = SyncPower(
            statuses,
            self.check,
            clock=clock,
            interval=timedelta(seconds=settings.sync_seconds),
            at_once=settings.sync_at_once,
        )
        self.read = ReadIpmi(servers, statuses, bmc, self.check, clock)
        self._servicer = IpmiServicer(self.read, clock, settings.bmc_failing_after)

    def add_services(self, to: grpc.aio.Server) -> None:
        """Adds what answers calls."""
        ipmi_pb2_grpc.add_IpmiServiceServicer_to_server(self._servicer, to)
