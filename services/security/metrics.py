"""The figures of security: gateways, mail gates, the blocklist, and what every service has."""

from collections.abc import Iterable

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from services.runtime.database import Database
from services.runtime.metrics import Asked, Metrics
from services.runtime.observing import BUCKETS
from services.security.gateways.gateway import Gateways


class SecurityMetrics(Metrics):
    """The figures of security. `gateway` is the name that an operator gave it."""

    def __init__(self, database: Database, gateways: Gateways) -> None:
        super().__init__(database)
        self._gateways = gateways
        self._health: dict[str, str] = {}
        self._gates: dict[str, bool] = {}
        self._fail2ban = Counter(
            "f2h_fail2ban_calls",
            "Questions to the fail2ban of gateways, by the health that was found.",
            ("health",),
            registry=self.registry,
        )
        self._fail2ban_seconds = Histogram(
            "f2h_fail2ban_call_seconds",
            "How long gateways took to answer.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._mail_gate = Counter(
            "f2h_mail_gate_calls",
            "Questions to mail gates, and changes of them, by outcome.",
            ("outcome",),
            registry=self.registry,
        )
        self._look_ups = Counter(
            "f2h_dnsbl_look_ups",
            "Look-ups in the blocklist, by what is known after them.",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("listed", "clean", "unknown"):
            self._look_ups.labels(outcome)
        for outcome in ("success", "failure"):
            self._mail_gate.labels(outcome)
        self.registry.register(Asked(self._states))

    def fail2ban_told(self, gateway: str, health: str, seconds: float) -> None:
        """The fail2ban of a gateway was asked: its health, and how long it took."""
        self._health[gateway] = health
        self._fail2ban.labels(health).inc()
        self._fail2ban_seconds.observe(seconds)

    def mail_gate_told(self, gateway: str, *, well: bool) -> None:
        """A mail gate was asked or changed, and whether it did it."""
        self._gates[gateway] = well
        self._mail_gate.labels("success" if well else "failure").inc()

    def looked_up(self, outcome: str) -> None:
        """An address was looked up: "listed", "clean" or "unknown"."""
        self._look_ups.labels(outcome).inc()

    async def _states(self) -> Iterable[Metric]:
        """Of the gateways that there are, what was found last; of one never asked, nothing."""
        health = GaugeMetricFamily(
            "f2h_gateway_health", "1 at the health of a gateway.", labels=("gateway", "health")
        )
        gate = GaugeMetricFamily(
            "f2h_mail_gate_up",
            "Whether a mail gate did what it was told last; at 0 it may block something else.",
            labels=("gateway",),
        )
        known = await self._gateways.all()
        for each in known:
            if each.name in self._health:
                health.add_metric((each.name, self._health[each.name]), 1.0)
            if each.mail_gate and each.name in self._gates:
                gate.add_metric((each.name,), float(self._gates[each.name]))
        count = GaugeMetricFamily("f2h_gateways", "Gateways that are known.", value=len(known))
        return health, gate, count
