"""The readings of one direction, brought to the quarter-hour grid (R3, R4, R8, R9, R10).

Result: a Ledger of the points the register is known at, in order of position, each with an epoch:
within one epoch the register rose, so differences are energies; a fall starts the next one.
"""

from dataclasses import dataclass

from clsbench.settlement.findings import Finding
from clsbench.settlement.meters import Meters, position
from clsbench.settlement.model import MeteringPoint, Reading
from clsbench.settlement.times import QUARTER_MS

TOLERANCE_MS = 9_000  # 1 % of the registration period
USABLE = 2  # highest status code whose value may be used
BILLABLE = 1  # highest status code whose value may be billed


@dataclass(slots=True)
class Point:
    """A register known at an instant. due_ms: its quarter hour, None for a meter change."""

    at_ms: int
    due_ms: int | None
    chain: int
    value: int
    epoch: int = 0
    substitute: bool = False
    reading: Reading | None = None

    @property
    def level(self) -> tuple[int, int]:
        """Orders values across falls."""
        return self.epoch, self.value


@dataclass(slots=True)
class Ledger:
    """One direction. points: of the grid and of meter changes; findings: what was doubtful."""

    direction: str
    meters: Meters
    points: list[Point]
    findings: list[Finding]


def build_ledger(point: MeteringPoint, direction: str) -> Ledger:
    """The ledger of a direction, readings outside the window included."""
    meters = Meters(point, direction)
    findings: list[Finding] = []
    within = _Within(point, direction, findings)
    by_due: dict[int, list[Point]] = {}
    for reading in point.readings:
        if reading.direction == direction:
            due_ms = _due(reading, within)
            if due_ms is not None and (found := _usable(reading, due_ms, meters, within)):
                by_due.setdefault(due_ms, []).append(found)
    points = [
        agreed
        for due in sorted(by_due)
        if (agreed := _agree(due, by_due[due], within)) is not None
    ]
    _keep_order(points, within)
    points += [Point(at_ms, None, chain, value) for at_ms, chain, value in meters.joints]
    points.sort(key=_place)
    _count_falls(points, within)
    return Ledger(direction, meters, points, findings)


class _Within:
    """Notes findings that touch the window."""

    def __init__(self, point: MeteringPoint, direction: str, findings: list[Finding]):
        self.from_ms, self.to_ms = point.from_ms, point.to_ms
        self._direction = direction
        self._findings = findings

    def note(self, code: str, at_ms: int | None, place: str, reading: int | None) -> None:
        inside = at_ms is None or self.from_ms <= at_ms <= self.to_ms
        if inside:
            self.note_anyway(code, at_ms, place, reading)

    def note_anyway(self, code: str, at_ms: int | None, place: str, reading: int | None) -> None:
        finding = Finding(code, at_ms, direction=self._direction, place=place, reading=reading)
        self._findings.append(finding)


def _due(reading: Reading, within: _Within) -> int | None:
    """The grid instant a reading belongs to (R3); None where it belongs to none."""
    if reading.due_ms is not None:
        if reading.due_ms % QUARTER_MS == 0:
            return reading.due_ms
    elif reading.captured_ms is not None:
        near = (reading.captured_ms + QUARTER_MS // 2) // QUARTER_MS * QUARTER_MS
        if abs(reading.captured_ms - near) <= TOLERANCE_MS:
            return near
    within.note("off_grid_reading", position(reading), reading.place, reading.raw)
    return None


def _usable(reading: Reading, due_ms: int, meters: Meters, within: _Within) -> Point | None:
    at_ms = due_ms if reading.captured_ms is None else reading.captured_ms
    if reading.ptb > USABLE or meters.reading_dead(reading, at_ms):
        within.note("boundary_unusable", due_ms, reading.place, reading.raw)
        return None
    chain, value = meters.of_reading(reading, at_ms)
    return Point(at_ms, due_ms, chain, value, substitute=reading.ptb > BILLABLE, reading=reading)


def _agree(due_ms: int, found: list[Point], within: _Within) -> Point | None:
    """The one reading of a due time; two that differ are none (R10)."""
    if len({(each.chain, each.value) for each in found}) > 1:
        first = min(found, key=lambda each: (each.value, each.chain))
        reading = first.reading
        if reading is not None:
            within.note("conflicting_readings", due_ms, reading.place, reading.raw)
        return None
    return min(found, key=lambda each: (each.substitute, each.at_ms))


def _keep_order(points: list[Point], within: _Within) -> None:
    """A reading captured before the one due earlier takes that one's place.

    Two values then stand at one instant, and nobody knows what lies between them.
    """
    for before, each in zip(points, points[1:], strict=False):
        each.at_ms = max(each.at_ms, before.at_ms)
        if each.at_ms == before.at_ms and (each.chain, each.value) != (before.chain, before.value):
            place = each.reading.place if each.reading is not None else ""
            within.note("conflicting_readings", each.due_ms, place, each.value)


def _place(point: Point) -> tuple[int, bool, int]:
    return point.at_ms, point.due_ms is None, point.due_ms or 0


def _count_falls(points: list[Point], within: _Within) -> None:
    epoch = 0
    for before, each in zip(points, points[1:], strict=False):
        if each.chain != before.chain or each.value < before.value:
            epoch += 1
            if before.at_ms < within.to_ms and _stated(each) > within.from_ms:
                place = each.reading.place if each.reading is not None else "meter_changes"
                within.note_anyway("register_fall", _stated(each), place, each.value)
        each.epoch = epoch


def _stated(point: Point) -> int:
    return point.at_ms if point.due_ms is None else point.due_ms
