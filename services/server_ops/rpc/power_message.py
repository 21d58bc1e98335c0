"""Whether a machine has power, as the message that callers get."""

from datetime import datetime

from f2h.server_ops.v1 import power_pb2

from services.runtime import timestamps
from services.server_ops.bmc.observation import PowerState


def pack_power(power: PowerState, time: datetime | None) -> power_pb2.Power:
    """The message of a power state, and when it was seen."""
    return power_pb2.Power(
        state=power_pb2.Power.State.Value(power), observe_time=timestamps.pack(time)
    )
