"""Callers that read again and again while something is done to who answers."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

CALLERS = 4
PAUSE_SECONDS = 0.03
"""Between two calls: not more in all than one key may make."""


@dataclass
class Reads:
    """Reads URLs from several threads, as a context manager."""

    urls: list[str]
    headers: dict[str, str]
    answers: Counter[str] = field(default_factory=Counter)
    """How many calls ended how: an HTTP status, with the body of one that is not a success."""
    longest_seconds: float = 0.0

    def __enter__(self) -> Self:
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self) -> int:
        """How many calls did not succeed."""
        return sum(number for how, number in self.answers.items() if how != "200")

    def _read(self) -> None:
        with httpx.Client(headers=self.headers, timeout=20) as client:
            while not self._end.is_set():
                for url in self.urls:
                    begin = time.monotonic()
                    try:
                        answer = client.get(url)
                        how = str(answer.status_code)
                        how += "" if answer.is_success else f" {answer.text}"
                    except httpx.HTTPError as error:
                        how = repr(error)
                    self.answers[how] += 1
                    self.longest_seconds = max(self.longest_seconds, time.monotonic() - begin)
                    time.sleep(PAUSE_SECONDS)
