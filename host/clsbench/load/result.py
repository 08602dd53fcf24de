"""The figures of a load run, and how they are shown."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Times:
    """Milliseconds."""

    p50: float
    p99: float
    worst: float


@dataclass(frozen=True)
class Phase:
    """number: of what was done; memory_kib, cpu_ns: what the gateway took for it."""

    number: int
    seconds: float
    times_ms: Times
    memory_kib: int
    cpu_ns: int

    @property
    def per_second(self) -> float:
        """Rate."""
        return self.number / self.seconds

    @property
    def kib_each(self) -> float:
        """Memory of the gateway for one."""
        return self.memory_kib / self.number

    @property
    def cpu_ms_each(self) -> float:
        """Processor time of the gateway for one."""
        return self.cpu_ns / self.number / 1e6


@dataclass(frozen=True)
class Result:
    """held: sessions that stood at the end. findings: what went wrong, empty when nothing did."""

    boxes: int
    held: int
    sessions: Phase
    requests: Phase
    events: Phase
    delivered: Phase
    findings: list[str]

    @property
    def ok(self) -> bool:
        """All sessions held, every event a record at the aEMT, once."""
        return not self.findings and self.held == self.boxes

    def document(self) -> dict[str, Any]:
        """For JSON; units in the names."""
        return {
            "ok": self.ok,
            "boxes": self.boxes,
            "sessions_held": self.held,
            "handshakes_per_s": round(self.sessions.per_second, 1),
            "handshake_gateway_cpu_ms": round(self.sessions.cpu_ms_each, 3),
            "session_memory_kib": round(self.sessions.kib_each, 1),
            "requests_per_s": round(self.requests.per_second, 1),
            "events": self.events.number,
            "events_recorded_per_s": round(self.events.per_second, 1),
            "events_delivered_per_s": round(self.delivered.per_second, 1),
            "event_gateway_cpu_ms": round(self.events.cpu_ms_each, 3),
            "times_ms": {
                name: {"p50": round(of.p50, 1), "p99": round(of.p99, 1), "max": round(of.worst, 1)}
                for name, of in (
                    ("handshake", self.sessions.times_ms),
                    ("request", self.requests.times_ms),
                    ("event", self.events.times_ms),
                )
            },
            "findings": self.findings,
        }


def spread(times_ms: list[float]) -> Times:
    """Median, 99th percentile and longest."""
    ordered = sorted(times_ms)
    if not ordered:
        return Times(0, 0, 0)
    return Times(
        ordered[len(ordered) // 2],
        ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
        ordered[-1],
    )


def table(result: Result) -> Table:
    """For people."""
    made = Table(title=f"{result.boxes} control boxes on one gateway", title_justify="left")
    for name in ("", "number", "per s", "p50 ms", "p99 ms", "gateway CPU ms", "memory KiB"):
        made.add_column(name, justify="left" if not name else "right")
    rows = (
        ("sessions, mutual TLS", result.sessions, True),
        ("requests on them", result.requests, False),
        ("TAF16 events, recorded", result.events, False),
        ("TAF16 events, at the aEMT", result.delivered, False),
    )
    for name, phase, has_memory in rows:
        made.add_row(
            name,
            str(phase.number),
            f"{phase.per_second:.0f}",
            f"{phase.times_ms.p50:.1f}",
            f"{phase.times_ms.p99:.1f}",
            f"{phase.cpu_ms_each:.2f}" if phase.cpu_ns else "",
            f"{phase.kib_each:.1f} each" if has_memory else "",
        )
    return made
