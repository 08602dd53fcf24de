"""The register at every quarter hour of the window, measured or from a straight line (R11)."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from clsbench.settlement.boundaries import Ledger, Point
from clsbench.settlement.cuts import Cut, Cuts
from clsbench.settlement.model import MeteringPoint
from clsbench.settlement.times import QUARTER_MS


@dataclass(frozen=True, slots=True)
class Boundary:
    """The register at a quarter hour. at_ms: its place among the events.

    between: the two anchors of a substitute value, each a Point or a Cut.
    """

    due_ms: int
    at_ms: int
    epoch: int
    value: int
    substitute: bool
    point: Point | None = None
    between: tuple[Point | Cut, Point | Cut] | None = None


def build_boundaries(point: MeteringPoint, ledger: Ledger, cuts: Cuts) -> list[Boundary | None]:
    """One for each quarter hour from window.from to window.to; None where nothing is known.

    Those without a Point of their own had no usable reading.
    """
    known = {each.due_ms: each for each in ledger.points if each.due_ms is not None}
    for each in ledger.points:  # final and start reading of a change on the grid are readings (R9)
        if each.due_ms is None and each.at_ms % QUARTER_MS == 0:
            known.setdefault(each.at_ms, each)
    dues = sorted(known)
    line = _Line(point, ledger, cuts) if point.policy.substitute == "linear" else None
    found: list[Boundary | None] = []
    for due_ms in range(point.from_ms, point.to_ms + 1, QUARTER_MS):
        measured = known.get(due_ms)
        if measured is not None:
            boundary = Boundary(
                due_ms,
                measured.at_ms,
                measured.epoch,
                measured.value,
                measured.substitute,
                measured,
            )
        else:
            boundary = line.at(due_ms) if line is not None else None
            if boundary is not None and not _between(boundary, dues, known):
                boundary = None
        found.append(boundary)
    return found


def _between(boundary: Boundary, dues: list[int], known: dict[int, Point]) -> bool:
    """Whether a substitute lies between the readings due before and behind it.

    It does unless one of them was captured hours beside its due time.
    """
    index = bisect_left(dues, boundary.due_ms)
    level = (boundary.epoch, boundary.value)
    fits = index == 0 or known[dues[index - 1]].level <= level
    return fits and (index == len(dues) or level <= known[dues[index]].level)


class _Line:
    """Straight lines between the nearest usable readings of any kind."""

    def __init__(self, point: MeteringPoint, ledger: Ledger, cuts: Cuts):
        self._longest_ms = point.policy.substitute_max_ms
        anchors: list[Point | Cut] = [*ledger.points, *cuts.cuts, *cuts.extra]
        self._anchors = sorted(anchors, key=lambda each: (each.at_ms, each.level))
        self._times = [each.at_ms for each in self._anchors]

    def at(self, due_ms: int) -> Boundary | None:
        """The register on the line, cut towards zero; None at an edge, across a fall, too far."""
        low = bisect_right(self._times, due_ms) - 1
        high = bisect_left(self._times, due_ms)
        if low < 0 or high == len(self._times):
            return None
        before, after = self._anchors[low], self._anchors[high]
        span_ms = after.at_ms - before.at_ms
        if before.epoch != after.epoch or span_ms > self._longest_ms:
            return None
        if span_ms <= 0:
            value = after.value  # of several at this instant the lowest: they act from here on
        else:
            rise = (after.value - before.value) * (due_ms - before.at_ms)
            value = _towards_zero(before.value * span_ms + rise, span_ms)
        return Boundary(due_ms, due_ms, before.epoch, value, True, None, (before, after))


def _towards_zero(numerator: int, denominator: int) -> int:
    """The whole part; denominator > 0."""
    whole = abs(numerator) // denominator
    return whole if numerator >= 0 else -whole
