"""Places for calls that last, so that neither one caller nor all of them take too many."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError


class Places:
    """A number of places, and how many of them one caller may have."""

    def __init__(self, what: str, total: int, each: int) -> None:
        """`what` is taken there, in the plural, for the text of a refusal."""
        self._what = what
        self._total = total
        self._each = each
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, subject: str) -> Iterator[None]:
        """A place for the caller, inside. Raises ApiError(OVERLOADED) when there is none."""
        if self._taken[subject] >= self._each or self._taken.total() >= self._total:
            text = f"Too many {self._what}: one key or person may have {self._each} at once."
            raise ApiError(Reason.OVERLOADED, text, retry_after_seconds=1.0)
        self._taken[subject] += 1
        try:
            yield
        finally:
            self._taken[subject] -= 1
            if not self._taken[subject]:
                del self._taken[subject]
