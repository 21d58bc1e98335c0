"""What counts as having seen a machine restart."""

from collections.abc import Sequence
from enum import StrEnum

from services.server_ops.bmc.observation import Observation, PowerState

CAUSED_BY_COMMAND = 1
"""Restart cause "Chassis Control command", IPMI 2.0 section 28.11."""


class Proof(StrEnum):
    """What showed that a machine restarted."""

    EVENT_LOG = "EVENT_LOG"
    POWER_OFF_THEN_ON = "POWER_OFF_THEN_ON"
    RESTART_CAUSE = "RESTART_CAUSE"


def restart_proof(before: Observation, seen: Sequence[Observation]) -> Proof | None:
    """What shows that the machine restarted since `before`; None while nothing does.

    `seen` is in order of time. The machine must be on in the end. That a BMC acknowledged the
    command shows nothing: it says so before it acts.
    """
    if not seen or seen[-1].power != PowerState.ON:
        return None
    if any(observation.restart_events for observation in seen):
        return Proof.EVENT_LOG
    if any(observation.power == PowerState.OFF for observation in seen):
        return Proof.POWER_OFF_THEN_ON
    # The cause stays what it was when the start before was by command too: then it shows nothing.
    caused = seen[-1].restart_cause == CAUSED_BY_COMMAND
    if caused and before.restart_cause not in (None, CAUSED_BY_COMMAND):
        return Proof.RESTART_CAUSE
    return None
