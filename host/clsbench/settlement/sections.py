"""Quarter hours shared among transactions: the pure core of mode `sections`.

A quarter hour is the sections between the register values known in it; each section belongs to
the state that was in force throughout it. Source: the settlement rules R2, R5, R6, R13.
"""

from bisect import bisect_left
from dataclasses import dataclass, field

from clsbench.settlement.boundaries import Ledger, build_ledger
from clsbench.settlement.cuts import Cut, Cuts, build_cuts, edges_of, energy_of
from clsbench.settlement.findings import Finding, in_order
from clsbench.settlement.model import Event, MeteringPoint
from clsbench.settlement.slots import Part, Slot
from clsbench.settlement.substitute import Boundary, build_boundaries
from clsbench.settlement.timeline import REST, UNKNOWN, Timeline
from clsbench.settlement.times import QUARTER_MS
from clsbench.settlement.transactions import History, Transaction, build_history


@dataclass(frozen=True, slots=True)
class Section:
    """Energy between two known registers. state: REST, a UUID, or UNKNOWN."""

    from_ms: int
    to_ms: int
    from_value: int
    to_value: int
    state: str

    @property
    def energy(self) -> int:
        return self.to_value - self.from_value


@dataclass(slots=True)
class Book:
    """One direction, settled."""

    direction: str
    ledger: Ledger
    cuts: Cuts
    boundaries: list[Boundary | None]
    unit_scaler: int
    slots: list[Slot] = field(default_factory=list)
    sections: list[list[Section]] = field(default_factory=list)  # per slot


@dataclass(frozen=True, slots=True)
class Settled:
    """A metering point, settled. transactions: those that touch the window, by UUID."""

    point: MeteringPoint
    history: History
    timeline: Timeline
    books: list[Book]
    transactions: list[Transaction]
    findings: list[Finding]

    def energy(self, one: Transaction, book: Book) -> int | None:
        """Difference of a transaction's two readings; None where it has not two usable ones."""
        return energy_of(one, book.cuts)

    def state(self, one: Transaction) -> str:
        """The transaction's state, its values considered."""
        state = one.state
        if state != "complete" or one.begin is None or one.end is None:
            return state
        for book in self.books:
            sound = book.cuts.billable(one.begin) and book.cuts.billable(one.end)
            if not sound or self.energy(one, book) is None:
                return "not_billable"
        return state


def settle_point(point: MeteringPoint) -> Settled:
    """Settles one metering point: every quarter hour of the window in every direction."""
    history = build_history(point)
    timeline = Timeline(history)
    findings = list(history.findings)
    neutral = [event for event in dict.fromkeys(point.events) if not event.switches]
    books = [_settle(point, each, history, timeline, neutral) for each in point.directions]
    for book in books:
        findings += book.ledger.findings + book.cuts.findings
        findings += [
            Finding(
                "missing_boundary", point.from_ms + index * QUARTER_MS, direction=book.direction
            )
            for index, boundary in enumerate(book.boundaries)
            if boundary is None or boundary.point is None
        ]
    touching = sorted(
        (one for one in history.transactions.values() if _touches(one, point)),
        key=lambda one: one.uuid,
    )
    return Settled(point, history, timeline, books, touching, in_order(findings))


def _settle(
    point: MeteringPoint,
    direction: str,
    history: History,
    timeline: Timeline,
    neutral: list[Event],
) -> Book:
    ledger = build_ledger(point, direction)
    cuts = build_cuts(ledger, history, neutral)
    book = Book(direction, ledger, cuts, build_boundaries(point, ledger, cuts), point.unit_scaler)
    known, marks = edges_of(cuts, history)
    times = [cut.at_ms for cut in known]
    mark_times = [at_ms for at_ms, _count in marks]
    for before, after in zip(book.boundaries, book.boundaries[1:], strict=False):
        due_ms = point.from_ms + len(book.slots) * QUARTER_MS
        if before is None or after is None or before.epoch != after.epoch:
            book.slots.append(Slot(due_ms, direction))
            book.sections.append([])
            continue
        first, last = (bisect_left(times, each.at_ms) for each in (before, after))
        low, high = (bisect_left(mark_times, each.at_ms) for each in (before, after))
        doubtful = {count - first for _at, count in marks[low:high]}
        sections = _sections(before, known[first:last], after, timeline, doubtful)
        book.sections.append(sections)
        book.slots.append(_share(point, due_ms, direction, before, after, sections))
    return book


def _sections(
    before: Boundary,
    inside: list[Cut],
    after: Boundary,
    timeline: Timeline,
    doubtful: set[int],
) -> list[Section]:
    if before.at_ms == after.at_ms:  # two readings captured at one instant
        state = timeline.at(before.at_ms)
        return [Section(before.at_ms, after.at_ms, before.value, after.value, state)]
    edges = [(before.at_ms, before.value)]
    edges += [(cut.at_ms, cut.value) for cut in inside]
    edges.append((after.at_ms, after.value))
    if any(high[1] < low[1] for low, high in zip(edges, edges[1:], strict=False)):
        # a reading captured hours beside its due time: nothing within is sure
        whole = Section(before.at_ms, after.at_ms, before.value, after.value, UNKNOWN)
        return [whole]
    return [
        Section(
            low[0],
            high[0],
            low[1],
            high[1],
            UNKNOWN if index in doubtful else timeline.over(low[0], high[0]),
        )
        for index, (low, high) in enumerate(zip(edges, edges[1:], strict=False))
        if high != low
    ]


def _share(
    point: MeteringPoint,
    due_ms: int,
    direction: str,
    before: Boundary,
    after: Boundary,
    sections: list[Section],
) -> Slot:
    shares: dict[tuple[str, str | None], int] = {}
    doubtful = 0
    for section in sections:
        if section.state == REST:
            key = (point.groups.rest, None)
        elif section.state == UNKNOWN:
            key = (point.groups.delta, None)
            doubtful += section.energy
        else:
            key = (point.groups.of(section.state), section.state)
        shares[key] = shares.get(key, 0) + section.energy
    return Slot(
        due_ms,
        direction,
        "faulty" if doubtful else "settled",
        "substitute" if before.substitute or after.substitute else "measured",
        after.value - before.value,
        tuple(Part(group, uuid, energy) for (group, uuid), energy in shares.items() if energy),
    )


def _touches(one: Transaction, point: MeteringPoint) -> bool:
    if one.begin is None and not one.open_at_start:
        end = one.end
        inside = end is not None and point.from_ms <= end.t_ms <= point.to_ms
        return end is not None and (inside or not end.time_valid)
    return one.from_ms < point.to_ms and one.to_ms >= point.from_ms
