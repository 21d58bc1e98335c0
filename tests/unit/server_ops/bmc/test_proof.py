from hypothesis import given
from hypothesis import strategies as st

from services.server_ops.bmc.observation import Observation, PowerState, RestartEvent, SelMark
from services.server_ops.bmc.proof import CAUSED_BY_COMMAND, Proof, restart_proof

ON, OFF, UNKNOWN = PowerState.ON, PowerState.OFF, PowerState.UNKNOWN
BUTTON = 3
EVENT = RestartEvent(record=7, sensor_type=0x1D, timestamp=0)
BEFORE = Observation(ON, BUTTON, SelMark(6, 0))

observations = st.builds(
    Observation,
    power=st.sampled_from(PowerState),
    restart_cause=st.sampled_from([None, BUTTON, CAUSED_BY_COMMAND]),
    restart_events=st.sampled_from([(), (EVENT,)]),
)


@given(observations, st.lists(observations))
def test_without_the_machine_being_on_in_the_end_nothing_is_proven(
    before: Observation, seen: list[Observation]
) -> None:
    if not seen or seen[-1].power != ON:
        assert restart_proof(before, seen) is None


@given(st.lists(st.sampled_from([ON, UNKNOWN])))
def test_a_machine_that_only_ever_was_on_is_not_proven_to_have_restarted(
    powers: list[PowerState],
) -> None:
    assert restart_proof(BEFORE, [Observation(power, BUTTON) for power in powers]) is None


def test_a_record_of_a_start_is_proof() -> None:
    assert restart_proof(BEFORE, [Observation(ON, restart_events=(EVENT,))]) == Proof.EVENT_LOG


def test_off_and_then_on_is_proof_and_off_alone_is_not() -> None:
    assert restart_proof(BEFORE, [Observation(OFF)]) is None
    seen = [Observation(OFF), Observation(UNKNOWN), Observation(ON)]
    assert restart_proof(BEFORE, seen) == Proof.POWER_OFF_THEN_ON


def test_a_restart_cause_proves_only_when_it_changed() -> None:
    caused = [Observation(ON, CAUSED_BY_COMMAND)]
    assert restart_proof(BEFORE, caused) == Proof.RESTART_CAUSE
    assert restart_proof(Observation(ON, CAUSED_BY_COMMAND), caused) is None
    assert restart_proof(Observation(ON, None), caused) is None
