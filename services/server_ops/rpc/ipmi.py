"""f2h.server_ops.v1.IpmiService."""

from datetime import datetime, timedelta
from typing import Any

from f2h.server_ops.v1 import ipmi_pb2, ipmi_pb2_grpc

from services.runtime import timestamps
from services.runtime.call import current_caller
from services.runtime.clock import Clock
from services.runtime.paging import decode_token, encode_token, not_ours
from services.server_ops.bmc.event import LogCursor, LogEvent
from services.server_ops.bmc.sensor import Health, Sensor
from services.server_ops.ipmi.read import ReadIpmi
from services.server_ops.ipmi.status import BmcStatus
from services.server_ops.rpc.power_message import pack_power

EVENTS = 50
"""How many events a page has when nothing is said."""

_Ipmi = ipmi_pb2.Ipmi
_Stage = ipmi_pb2.TestIpmiResponse.Stage


class IpmiServicer(ipmi_pb2_grpc.IpmiServiceServicer):
    """Shows customers what the BMCs of their servers say."""

    def __init__(self, read: ReadIpmi, clock: Clock, failing_after: int) -> None:
        """A BMC that fails `failing_after` times in a row is one that is failing."""
        self._read = read
        self._clock = clock
        self._failing_after = failing_after

    async def GetIpmi(self, request: ipmi_pb2.GetIpmiRequest, _context: Any) -> ipmi_pb2.Ipmi:
        """The status of the BMC."""
        status = await self._read.status(
            request.hostname, current_caller().account, _max_age(request)
        )
        return self._pack(status)

    async def ListIpmiSensors(
        self, request: ipmi_pb2.ListIpmiSensorsRequest, _context: Any
    ) -> ipmi_pb2.ListIpmiSensorsResponse:
        """The sensors."""
        readings = await self._read.sensors(
            request.hostname, current_caller().account, _max_age(request)
        )
        return ipmi_pb2.ListIpmiSensorsResponse(
            sensors=[_pack_sensor(sensor) for sensor in readings.sensors],
            observe_time=timestamps.pack(readings.observe_time),
            age_seconds=self._age(readings.observe_time),
        )

    async def ListIpmiEvents(
        self, request: ipmi_pb2.ListIpmiEventsRequest, _context: Any
    ) -> ipmi_pb2.ListIpmiEventsResponse:
        """A page of the event log."""
        page = await self._read.events(
            request.hostname,
            current_caller().account,
            _cursor(decode_token(request.page_token)),
            request.page_size or EVENTS,
        )
        following = page.following
        return ipmi_pb2.ListIpmiEventsResponse(
            events=[_pack_event(event) for event in page.events],
            next_page_token=encode_token(f"{following.record}.{following.erased}")
            if following
            else "",
            total_size=page.total,
            clock_offset_seconds=page.clock_offset_seconds,
        )

    async def TestIpmi(
        self, request: ipmi_pb2.TestIpmiRequest, _context: Any
    ) -> ipmi_pb2.TestIpmiResponse:
        """The stages of reaching the BMC."""
        stages = await self._read.test(request.hostname, current_caller().account)
        return ipmi_pb2.TestIpmiResponse(
            stages=[
                _Stage(
                    name=_Stage.Name.Value(each.stage),
                    result=_Stage.Result.Value(each.result),
                    milliseconds=round(each.seconds * 1000, 3),
                    detail=each.detail,
                )
                for each in stages
            ]
        )

    def _pack(self, status: BmcStatus) -> ipmi_pb2.Ipmi:
        message = _Ipmi(
            hostname=status.hostname,
            reachability=_Ipmi.Reachability.Value(status.reachability)
            if status.reachability
            else _Ipmi.REACHABILITY_UNSPECIFIED,
            trouble=_Ipmi.Trouble.Value(status.trouble)
            if status.trouble
            else _Ipmi.TROUBLE_UNSPECIFIED,
            power=pack_power(status.power, status.contact_time),
            check_time=timestamps.pack(status.check_time),
            contact_time=timestamps.pack(status.contact_time),
            age_seconds=self._age(status.check_time),
            failures=status.failures,
            failing=status.failures >= self._failing_after,
            identify_time=timestamps.pack(status.identify_time),
        )
        if status.drift_time and status.expected_power:
            message.drift.CopyFrom(
                ipmi_pb2.PowerDrift(
                    expected=pack_power(status.expected_power, None),
                    since=timestamps.pack(status.drift_time),
                )
            )
        if identity := status.identity:
            message.firmware = identity.firmware
            message.manufacturer = identity.manufacturer
            message.product = identity.product
            message.version = identity.version
            message.guid = identity.guid
            message.features.extend(
                sorted(_Ipmi.Feature.Value(feature) for feature in identity.features)
            )
        return message

    def _age(self, time: datetime | None) -> int:
        return max(0, round((self._clock() - time).total_seconds())) if time else 0


def _max_age(
    request: ipmi_pb2.GetIpmiRequest | ipmi_pb2.ListIpmiSensorsRequest,
) -> timedelta | None:
    if not request.HasField("max_age_seconds"):
        return None
    return timedelta(seconds=request.max_age_seconds)


def _cursor(token: str) -> LogCursor | None:
    if not token:
        return None
    record, _, erased = token.partition(".")
    if not (record.isdecimal() and erased.isdecimal() and int(record) <= 0xFFFF):  # noqa: PLR2004
        raise not_ours()
    return LogCursor(int(record), int(erased))


def _pack_health(health: Health) -> "ipmi_pb2.Health.ValueType":
    return ipmi_pb2.Health.Value(f"HEALTH_{health}")


def _pack_sensor(sensor: Sensor) -> ipmi_pb2.Sensor:
    bounds = sensor.thresholds
    return ipmi_pb2.Sensor(
        name=sensor.name,
        type=sensor.type,
        value=sensor.value,
        unit=sensor.unit,
        health=_pack_health(sensor.health),
        states=sensor.states,
        thresholds=ipmi_pb2.SensorThresholds(
            lower_non_recoverable=bounds.lower_non_recoverable,
            lower_critical=bounds.lower_critical,
            lower_non_critical=bounds.lower_non_critical,
            upper_non_critical=bounds.upper_non_critical,
            upper_critical=bounds.upper_critical,
            upper_non_recoverable=bounds.upper_non_recoverable,
        ),
    )


def _pack_event(event: LogEvent) -> ipmi_pb2.IpmiEvent:
    return ipmi_pb2.IpmiEvent(
        record=event.record,
        time=timestamps.pack(event.time),
        sensor=event.sensor,
        type=event.type,
        text=event.text,
        health=_pack_health(event.health),
        asserted=event.asserted,
    )
