from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.server_ops.webhooks.answer import Answer
from services.server_ops.webhooks.delivery import Delivery, State
from services.server_ops.webhooks.event import EventType
from services.server_ops.webhooks.schedule import delay
from services.server_ops.webhooks.webhook import DisabledReason
from tests.unit.server_ops.webhooks.samples import NOW, webhook

SECONDS = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
"""Standard Webhooks 1.0, "Deliverability and reliability", after the first attempt at once."""


def delivery() -> Delivery:
    kind = EventType.OPERATION_CREATED
    return Delivery(webhook().id, "msg_1", kind, create_time=NOW, next_attempt_time=NOW)


def test_attempts_follow_the_specification_and_then_it_has_failed() -> None:
    each, now, waits = delivery(), NOW, []
    while each.state == State.PENDING:
        each = each.after(Answer(503), now, 0)
        if each.next_attempt_time is not None:
            waits.append((each.next_attempt_time - now).total_seconds())
            now = each.next_attempt_time
    assert waits == SECONDS
    assert (each.attempts, each.state, each.next_attempt_time) == (10, State.FAILED, None)


@given(attempts=st.integers(1, 9), fraction=st.floats(0, 1))
def test_jitter_makes_a_delay_longer_by_a_tenth_at_most(attempts: int, fraction: float) -> None:
    planned = timedelta(seconds=SECONDS[attempts - 1])
    waited = delay(attempts, fraction)
    assert waited is not None
    assert planned <= waited <= planned * 1.1


@given(status=st.integers(100, 599))
def test_only_2xx_is_success_and_only_410_is_the_end(status: int) -> None:
    after = delivery().after(Answer(status), NOW, 0)
    expected = {2: State.DELIVERED}.get(status // 100, State.PENDING)
    assert after.state == (State.FAILED if status == 410 else expected)


def test_after_five_days_without_one_success_a_webhook_is_disabled_and_says_so() -> None:
    failing = webhook().after(Answer(500), NOW)
    almost = failing.after(Answer(500), NOW + timedelta(days=5, seconds=-1))
    assert almost.enabled
    assert almost.failing_since == NOW
    ended = almost.after(Answer(500), NOW + timedelta(days=5))
    assert (ended.enabled, ended.disabled_reason) == (False, DisabledReason.FAILING)
    again = almost.after(Answer(200), NOW + timedelta(days=4))
    assert again.after(Answer(500), NOW + timedelta(days=5)).enabled


def test_what_its_owner_disabled_is_not_said_to_be_disabled_by_us() -> None:
    off = webhook(enabled=False)
    assert off.after(Answer(410), NOW).disabled_reason == 0
