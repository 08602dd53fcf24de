"""Which transaction was open when: begin and end records paired, gaps and doubts found (R5 to R8).

Works on instants and numbers alone; register values come later, per direction.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from clsbench.settlement.findings import Finding
from clsbench.settlement.model import BEGIN, Event, MeteringPoint

EARLIEST, LATEST = -(1 << 62), 1 << 62


@dataclass(slots=True)
class Transaction:
    """begin, end: the records that count, or None; doubts: names of states, see `state`."""

    uuid: str
    begin: Event | None = None
    end: Event | None = None
    open_at_start: bool = False
    overlaps: bool = False
    from_ms: int = EARLIEST  # surely open from here
    to_ms: int = LATEST  # surely open to here

    @property
    def state(self) -> str:
        """As far as records tell; whether the values can be billed is told apart."""
        if self.end is None:
            return "missing_end" if self.begin or self.open_at_start else "missing_begin"
        if self.begin is None:
            return "begun_before_window" if self.open_at_start else "missing_begin"
        if self.overlaps:
            return "overlap"
        if not (self.begin.time_valid and self.end.time_valid):
            return "time_not_valid"
        return "complete"


@dataclass(slots=True)
class History:
    """switching: begin and end records that count, with their positions, in order; unknown:
    stretches [a, b) of which nobody knows the state; bounds: neutral records at a gap's edge."""

    transactions: dict[str, Transaction] = field(default_factory=dict)
    strays: list[Event] = field(default_factory=list)
    switching: list[tuple[int, Event]] = field(default_factory=list)
    unknown: list[tuple[int, int]] = field(default_factory=list)
    bounds: list[Event] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def build_history(point: MeteringPoint) -> History:
    """What the records of a metering point tell of its transactions."""
    history = History()
    placed = _placed(_distinct(point.events, history))
    gaps = _gaps(point, placed, history)
    _pair(point, placed, history)
    order = _Order(placed, history)
    for one in history.transactions.values():
        _span(point, one, history, order, gaps)
    for _at_ms, event in history.switching:
        if not event.time_valid:
            _note(history, "time_not_valid", event.t_ms, event)
            history.unknown.append((order.before(event), order.after(event)))
    for event in history.strays:
        _stray(event, history, order)
    _overlaps(point, history)
    return history


def _distinct(events: tuple[Event, ...], history: History) -> list[Event]:
    """Each record once, whatever the order they came in."""
    found: dict[Event, Event] = {}
    for event in events:
        known = found.setdefault(event, event)
        if known is not event:
            _note(history, "duplicate_record", event.t_ms, event)
    return sorted(found, key=_canonical)


def _canonical(event: Event) -> tuple:
    seq = -1 if event.seq is None else event.seq
    rest = (event.kind != "end", event.kind, event.uuid or "", event.values, event.ptb)
    return (event.t_ms, seq, *rest, event.meter_id or "", event.cls_id or "")


def _placed(events: list[Event]) -> list[tuple[int, Event]]:
    """Records in order; one without legal time stands behind the one numbered before it."""
    placed = [(event.t_ms, event) for event in events if event.time_valid]
    for event in sorted((e for e in events if not e.time_valid), key=_number):
        if event.seq is None:
            where = sum(at_ms <= event.t_ms for at_ms, _other in placed)
            placed.insert(where, (event.t_ms, event))
            continue
        before = [
            index
            for index, (_at, other) in enumerate(placed)
            if other.seq is not None and other.seq < event.seq
        ]
        where = max(before, default=-1) + 1
        follows = where < len(placed)
        at_ms = placed[where - 1][0] if where else placed[0][0] if follows else event.t_ms
        placed.insert(where, (at_ms, event))
    return placed


def _number(event: Event) -> int:
    return -1 if event.seq is None else event.seq


def _gaps(
    point: MeteringPoint, placed: list[tuple[int, Event]], history: History
) -> list[tuple[int, int]]:
    """Stretches between records whose numbers do not follow each other."""
    numbered = sorted(
        ((event.seq, at_ms, event) for at_ms, event in placed if event.seq is not None),
        key=lambda entry: entry[:2],
    )
    last = point.last_number_before
    before: tuple[int, int, Event | None] | None = None
    if last is not None:
        before = (last, EARLIEST, None)
        numbered = [entry for entry in numbered if entry[0] > last]
    gaps = []
    for seq, at_ms, event in numbered:
        if before is not None and seq > before[0] + 1:
            low, high = sorted((before[1], at_ms))
            gaps.append((low, high))
            if low <= point.to_ms and high >= point.from_ms:
                _note(history, "sequence_gap", at_ms, event)
                history.bounds += [e for e in (before[2], event) if e and not e.switches]
        before = (seq, at_ms, event)
    history.unknown += gaps
    return sorted(gaps)


def _pair(point: MeteringPoint, placed: list[tuple[int, Event]], history: History) -> None:
    known = history.transactions
    for uuid in sorted(point.open_at_start):
        known[uuid] = Transaction(uuid, open_at_start=True)
    for at_ms, event in placed:
        if not event.switches or event.uuid is None:
            continue
        one = known.get(event.uuid)
        if event.kind == BEGIN:
            if one is not None and (one.begin is not None or _inside(one, point, at_ms)):
                _note(history, "duplicate_begin", at_ms, event)
                continue
            known.setdefault(event.uuid, Transaction(event.uuid)).begin = event
        elif one is not None and one.end is None:
            one.end = event
        else:
            history.strays.append(event)
        history.switching.append((at_ms, event))


def _inside(one: Transaction, point: MeteringPoint, at_ms: int) -> bool:
    """Whether a begin of something open at the start lies in the window, and so is a second."""
    return one.open_at_start and at_ms >= point.from_ms


class _Order:
    """Where each record stands, and which ones with legal time switched before and after it."""

    def __init__(self, placed: list[tuple[int, Event]], history: History):
        self._rank = {id(event): index for index, (_at, event) in enumerate(placed)}
        self._at = {id(event): at_ms for at_ms, event in placed}
        valid = [(at, event) for at, event in history.switching if event.time_valid]
        self._ranks = [self._rank[id(event)] for _at, event in valid]
        self._times = [at_ms for at_ms, _event in valid]

    def at(self, event: Event) -> int:
        """Its position."""
        return self._at[id(event)]

    def before(self, event: Event) -> int:
        """Position of the record before it; the beginning of time without one."""
        index = bisect_left(self._ranks, self._rank[id(event)])
        return self._times[index - 1] if index else EARLIEST

    def after(self, event: Event) -> int:
        """Position of the record after it; the end of time without one."""
        index = bisect_right(self._ranks, self._rank[id(event)])
        return self._times[index] if index < len(self._times) else LATEST


def _span(
    point: MeteringPoint,
    one: Transaction,
    history: History,
    order: _Order,
    gaps: list[tuple[int, int]],
) -> None:
    """Sets from_ms and to_ms and notes an end that is missing."""
    begin, end = one.begin, one.end
    if begin is not None:
        one.from_ms = order.at(begin) if begin.time_valid else order.after(begin)
    if end is not None:
        one.to_ms = order.at(end) if end.time_valid else order.before(end)
        return
    start = one.from_ms
    if begin is not None and not begin.time_valid:
        start = order.before(begin)
    one.to_ms = next((low for low, _high in gaps if low >= start), LATEST)
    if start < point.to_ms:
        history.unknown.append((start, one.to_ms))
        at_ms, place = (begin.t_ms, begin.place) if begin else (None, "open_at_start")
        history.findings.append(Finding("missing_end", at_ms, one.uuid, place=place))


def _stray(event: Event, history: History, order: _Order) -> None:
    """An end nobody began: unknown since the event before it."""
    uuid = event.uuid or ""
    _note(history, "missing_begin", event.t_ms, event)
    history.transactions.setdefault(uuid, Transaction(uuid, end=event))
    if event.time_valid:
        history.unknown.append((order.before(event), order.at(event)))


def _overlaps(point: MeteringPoint, history: History) -> None:
    spans = sorted(
        (one for one in history.transactions.values() if one.begin or one.open_at_start),
        key=lambda one: (one.from_ms, one.to_ms, one.uuid),
    )
    active: list[Transaction] = []
    for one in spans:
        if one.to_ms <= one.from_ms:
            continue
        active = [other for other in active if other.to_ms > one.from_ms]
        if active:
            low, high = one.from_ms, min(one.to_ms, max(other.to_ms for other in active))
            if low < point.to_ms and high > point.from_ms:
                at_ms = max(low, point.from_ms)
                place = one.begin.place if one.begin is not None else "open_at_start"
                history.findings.append(Finding("overlap", at_ms, one.uuid, place=place))
                for other in (one, *active):
                    other.overlaps = True
        active.append(one)


def _note(history: History, code: str, at_ms: int, event: Event) -> None:
    history.findings.append(Finding(code, at_ms, event.uuid, place=event.place))
