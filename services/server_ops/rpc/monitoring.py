"""f2h.server_ops.v1.MonitoringService."""

from typing import Any

from f2h.server_ops.v1 import monitoring_pb2, monitoring_pb2_grpc
from google.protobuf import timestamp_pb2

from services.runtime.call import current_caller
from services.runtime.clock import Clock
from services.server_ops.monitoring.read import History, Period, ReadMonitoring
from services.server_ops.monitoring.series import unit

_Request = monitoring_pb2.GetMonitoringRequest


class MonitoringServicer(monitoring_pb2_grpc.MonitoringServiceServicer):
    """Shows what was measured."""

    def __init__(self, read: ReadMonitoring, clock: Clock) -> None:
        self._read = read
        self._clock = clock

    async def GetMonitoring(
        self, request: monitoring_pb2.GetMonitoringRequest, _context: Any
    ) -> monitoring_pb2.Monitoring:
        """The series of a server."""
        period = Period(_Request.Period.Name(request.period or _Request.HOUR))
        account = current_caller().account
        history = await self._read(request.hostname, account, period, request.series)
        message = _pack(history)
        message.hostname = request.hostname
        if history.newest:
            age = self._clock() - history.newest
            message.newest_time.FromDatetime(history.newest)
            message.age_seconds = max(0, round(age.total_seconds()))
        return message


def _pack(history: History) -> monitoring_pb2.Monitoring:
    return monitoring_pb2.Monitoring(
        series=[
            monitoring_pb2.Series(
                name=name,
                unit=unit(name),
                points=[
                    monitoring_pb2.Point(
                        time=timestamp_pb2.Timestamp(seconds=point.time),
                        average=point.average,
                        minimum=point.minimum,
                        maximum=point.maximum,
                    )
                    for point in points
                ],
            )
            for name, points in history.series.items()
        ],
        start_time=timestamp_pb2.Timestamp(seconds=history.start),
        end_time=timestamp_pb2.Timestamp(seconds=history.end),
        step_seconds=history.step,
    )
