"""The figures of auth: what every service has, and how the edge's questions were answered."""

from prometheus_client import Counter

from services.runtime.database import Database
from services.runtime.metrics import Metrics

PASSED = "PASSED"
"""Beside the reasons of refusals."""


class AuthMetrics(Metrics):
    """The figures of auth."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._checks = Counter(
            "f2h_auth_checks",
            "Calls that the edge asked about, by whether they passed or why they did not.",
            ("outcome",),
            registry=self.registry,
        )
        self._checks.labels(PASSED)

    def checked(self, reason: str) -> None:
        """The edge was answered: with a refusal for this reason; empty: the call passed."""
        self._checks.labels(reason or PASSED).inc()
