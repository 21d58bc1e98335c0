"""Monitoring: measuring, keeping, showing, and the fleet for Prometheus."""

import grpc.aio
from f2h.server_ops.v1 import monitoring_pb2_grpc

from services.server_ops.adapters.exporter import Exporter
from services.server_ops.adapters.reach import NetworkReach
from services.server_ops.adapters.snmp import SnmpSwitches
from services.server_ops.bootstrap.ground import Ground
from services.server_ops.bootstrap.ipmi import Ipmi
from services.server_ops.monitoring.collect import Collect
from services.server_ops.monitoring.read import ReadMonitoring
from services.server_ops.monitoring.traffic import MeasureTraffic
from services.server_ops.rpc.monitoring import MonitoringServicer
from services.server_ops.store.measurements import SqlMeasurements
from services.server_ops.store.uplinks import SqlUplinks


class Monitoring:
    """What measures servers, and shows it."""

    def __init__(self, ground: Ground, ipmi: Ipmi) -> None:
        settings, clock = ground.settings, ground.clock
        self.uplinks = SqlUplinks(ground.database, ground.sealer)
        measurements = SqlMeasurements(ground.database)
        self._switches = SnmpSwitches()
        self.collect = Collect(
            ground.servers,
            ipmi.statuses,
            measurements,
            sensors=ipmi.read.measure,
            reach=NetworkReach(
                icmp=settings.monitoring_icmp, tcp_port=settings.monitoring_tcp_port
            ),
            traffic=MeasureTraffic(self.uplinks, self._switches),
            clock=clock,
            at_once=settings.monitoring_at_once,
        )
        self._servicer = MonitoringServicer(
            ReadMonitoring(ground.servers, measurements, clock), clock
        )
        ground.metrics.registry.register(Exporter(measurements.latest, self.collect, clock))

    def add_services(self, to: grpc.aio.Server) -> None:
        """Adds what answers calls."""
        monitoring_pb2_grpc.add_MonitoringServiceServicer_to_server(self._servicer, to)

    async def close(self) -> None:
        """Ends measuring."""
        await self.collect.close()
        self._switches.close()
