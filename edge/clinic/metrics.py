"""`/metrics`: the box's numbers for Prometheus, measured when asked for. Nothing in them comes from a patient."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.mqtt.reconnect import LineState
from edge.wire.messages import Health

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_GAUGES = (
    ("reports_owed", "Reports that the doctor's inbox has not confirmed", "owed"),
    ("reports_unanswered", "Reports without an answer for longer than the alarm waits", "unanswered"),
    ("files_quarantined", "Files set aside that nobody has looked after", "quarantined"),
    ("disk_free_bytes", "Free where the outbox lies", "disk_free_bytes"),
    ("uptime_seconds", "Since the agent's start", "uptime_s"),
)


def exposition(health: Health, line: LineState, reports: int, hanging: str) -> bytes:
    """All metrics in Prometheus' text format.

    Args:
        health: As measured now.
        line: Whether the broker is reached.
        reports: Made since the outbox began.
        hanging: Names of loops that make no progress; empty where all do.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Box(health, line, reports, hanging))
    return generate_latest(registry)


class _Box(Collector):
    def __init__(self, health: Health, line: LineState, reports: int, hanging: str) -> None:
        self._health = health
        self._line = line
        self._reports = reports
        self._hanging = hanging

    def collect(self) -> Iterable[Metric]:
        """Each number as a metric."""
        health = self._health
        for name, meaning, attribute in _GAUGES:
            yield GaugeMetricFamily(f"edge_agent_{name}", meaning, value=float(getattr(health, attribute)))
        for name, meaning, state in (
            ("connected", "Whether the line to the broker is up", self._line.is_up),
            ("refusing", "Whether the box takes no new pictures", health.refusing is not None),
            ("clock_synced", "Whether the clock is in step with a time server", health.clock_synced),
            ("progress", "Whether every loop of the agent goes round", not self._hanging),
        ):
            yield GaugeMetricFamily(f"edge_agent_{name}", meaning, value=float(state))
        if health.temperature_c is not None:
            yield GaugeMetricFamily("edge_agent_temperature_celsius", "Of the processor", value=health.temperature_c)
        yield CounterMetricFamily("edge_agent_reports", "Reports made since the outbox began", value=self._reports)
        yield InfoMetricFamily("edge_agent", "What runs", value={"version": health.version, "model": health.model})
