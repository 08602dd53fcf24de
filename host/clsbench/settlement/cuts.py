"""The cuts that events make in one direction: values judged, doubtful ones set aside (R8, R10)."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from clsbench.settlement.boundaries import BILLABLE, USABLE, Ledger, Point
from clsbench.settlement.findings import Finding
from clsbench.settlement.model import Event
from clsbench.settlement.transactions import History, Transaction


@dataclass(slots=True)
class Cut:
    """An event's register, on the same scale as the points of the ledger."""

    at_ms: int
    epoch: int
    value: int
    event: Event

    @property
    def level(self) -> tuple[int, int]:
        return self.epoch, self.value


@dataclass(slots=True)
class Cuts:
    """cuts: usable values of records that switch, in order; by_event: of any record, by id;
    extra: usable values of neutral records; findings: what was doubtful."""

    cuts: list[Cut] = field(default_factory=list)
    by_event: dict[int, Cut] = field(default_factory=dict)
    extra: list[Cut] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def billable(self, event: Event) -> bool:
        """Whether the event's own value may be billed."""
        return id(event) in self.by_event and event.ptb <= BILLABLE


def build_cuts(ledger: Ledger, history: History, neutral: list[Event]) -> Cuts:
    """The cuts of a direction.

    neutral: records that do not switch; their values are never findings.
    """
    result = Cuts()
    judge = _Judge(ledger, result)
    fit = [cut for _at, event in history.switching if (cut := judge.examine(event)) is not None]
    result.cuts = _rising(sorted(fit, key=lambda cut: cut.at_ms), judge, result)
    for event in neutral:
        cut = judge.examine(event) if event.time_valid else None
        if cut is not None:
            result.extra.append(cut)
    result.extra = _agreeing(sorted(result.extra, key=lambda cut: cut.at_ms), result.cuts)
    result.by_event = {id(cut.event): cut for cut in result.cuts}
    judge.stand_still()
    result.cuts.sort(key=lambda cut: (cut.at_ms, cut.level))
    _name_conflicts(result.cuts, judge)
    return result


def edges_of(cuts: Cuts, history: History) -> tuple[list[Cut], list[tuple[int, int]]]:
    """The cuts that part sections, in order; and the marks of doubtful values among them.

    A mark is (instant, number of cuts before it) of a record that switches without a usable value:
    the section it falls into, or begins with where a reading or cut is at its instant, is unknown.
    """
    bounds = {id(event) for event in history.bounds}
    place = {id(event): index for index, (_at, event) in enumerate(history.switching)}
    known = cuts.cuts + [cut for cut in cuts.extra if id(cut.event) in bounds]
    ranked = sorted(
        (((cut.at_ms, place.get(id(cut.event), -1)), cut) for cut in known),
        key=lambda entry: (entry[0], entry[1].level),
    )
    ranks = [rank for rank, _cut in ranked]
    marks = [
        (at_ms, bisect_left(ranks, (at_ms, index)))
        for index, (at_ms, event) in enumerate(history.switching)
        if event.time_valid and id(event) not in cuts.by_event
    ]
    return [cut for _rank, cut in ranked], marks


def energy_of(one: Transaction, cuts: Cuts) -> int | None:
    """Difference of a transaction's two readings; None where it has not two usable ones."""
    begin, end = one.begin, one.end
    if begin is None or end is None or not (begin.time_valid and end.time_valid):
        return None
    low, high = cuts.by_event.get(id(begin)), cuts.by_event.get(id(end))
    if low is None or high is None or low.epoch != high.epoch or high.value < low.value:
        return None
    return high.value - low.value


class _Judge:
    """Holds an event's value against the readings beside it."""

    def __init__(self, ledger: Ledger, result: Cuts):
        self._ledger = ledger
        self._result = result
        self._times = [point.at_ms for point in ledger.points]
        self._absent: list[Event] = []

    def examine(self, event: Event) -> Cut | None:
        """The event's cut, or None with a finding; one without legal time cuts nothing."""
        if not event.time_valid:
            return None
        located = self._ledger.meters.of_event(event)
        if located is None and event.switches:
            self._absent.append(event)
        if located is None:
            return None
        if event.ptb > USABLE or self._ledger.meters.event_dead(event):
            self.doubt(event, "event_unusable", located[1])
            return None
        epoch = self._epoch(event, *located)
        if epoch is None:
            conflict = bool(self.points_beside(event.t_ms)[0])
            code = "conflicting_readings" if conflict else "event_implausible"
            self.doubt(event, code, located[1])
            return None
        return Cut(event.t_ms, epoch, located[1], event)

    def doubt(self, event: Event, code: str, value: int | None) -> None:
        """Notes a finding about an event that switches."""
        if event.switches:
            self._result.findings.append(
                Finding(code, event.t_ms, event.uuid, self._ledger.direction, event.place, value)
            )

    def points_beside(self, at_ms: int) -> tuple[list[Point], Point | None, Point | None]:
        """The points at an instant, the last one before it and the first one after it."""
        low, high = bisect_left(self._times, at_ms), bisect_right(self._times, at_ms)
        points = self._ledger.points
        before = points[low - 1] if low else None
        return points[low:high], before, points[high] if high < len(points) else None

    def stand_still(self) -> None:
        """An event without a value cuts all the same where the register stood still beside it."""
        found = []
        for event in self._absent:
            level = self._still(event.t_ms)
            if level is None:
                self.doubt(event, "event_unusable", None)
            else:
                found.append(Cut(event.t_ms, *level, event))
        for cut in found:
            self._result.by_event[id(cut.event)] = cut
        self._result.cuts += found

    def _still(self, at_ms: int) -> tuple[int, int] | None:
        here, before, high = self.points_beside(at_ms)
        low = here[-1] if here else before
        levels = [None if low is None else low.level, None if high is None else high.level]
        cuts = self._result.cuts
        index = bisect_right(cuts, at_ms, key=lambda cut: cut.at_ms)
        if index and (levels[0] is None or cuts[index - 1].level > levels[0]):
            levels[0] = cuts[index - 1].level
        if index < len(cuts) and (levels[1] is None or cuts[index].level < levels[1]):
            levels[1] = cuts[index].level
        return levels[0] if levels[0] == levels[1] else None

    def _epoch(self, event: Event, chain: int, value: int) -> int | None:
        """The epoch an event's value fits into; None where it lies outside its neighbours."""
        here, before, after = self.points_beside(event.t_ms)
        if here:
            same = (each.epoch for each in here if (each.chain, each.value) == (chain, value))
            return next(same, None)
        if before is None and after is None:
            return 0
        rises = before is None or (chain == before.chain and value >= before.value)
        ends = after is None or (chain == after.chain and value <= after.value)
        if before is None or after is None or before.epoch == after.epoch:
            return (before or after or _NOWHERE).epoch if rises and ends else None
        return before.epoch if rises else after.epoch if ends else None


_NOWHERE = Point(0, None, 0, 0)


def _rising(cuts: list[Cut], judge: _Judge, result: Cuts) -> list[Cut]:
    """The cuts without those that contradict a neighbour: of a falling pair nobody knows which."""
    while True:
        bad = {
            id(each)
            for pair in zip(cuts, cuts[1:], strict=False)
            if pair[1].level < pair[0].level
            for each in pair
        }
        if not bad:
            return cuts
        for cut in cuts:
            if id(cut) in bad:
                judge.doubt(cut.event, "event_implausible", cut.value)
        cuts = [cut for cut in cuts if id(cut) not in bad]


def _name_conflicts(cuts: list[Cut], judge: _Judge) -> None:
    """Two records of one instant with different values: nobody knows what lies between them."""
    for low, high in zip(cuts, cuts[1:], strict=False):
        if low.at_ms == high.at_ms and low.level != high.level:
            judge.doubt(high.event, "conflicting_readings", high.value)


def _agreeing(extra: list[Cut], cuts: list[Cut]) -> list[Cut]:
    """The values of neutral records that contradict neither cuts nor each other."""
    while True:
        merged = sorted([*cuts, *extra], key=lambda cut: cut.at_ms)
        bad = {
            id(each)
            for pair in zip(merged, merged[1:], strict=False)
            if pair[1].level < pair[0].level
            for each in pair
        }
        kept = [cut for cut in extra if id(cut) not in bad]
        if len(kept) == len(extra):
            return kept
        extra = kept
