"""What sharing by time would book: for comparison beside the measured sections, never for billing.

Takes the power within a quarter hour as even, as everybody must who has no reading at the event:
each transaction gets the part of the quarter hour's energy that it was open of its 900 s.
"""

from dataclasses import dataclass

from clsbench.settlement.largest import share_out
from clsbench.settlement.sections import Book, Settled
from clsbench.settlement.timeline import REST, UNKNOWN
from clsbench.settlement.times import QUARTER_MS


@dataclass(frozen=True, slots=True)
class Misbooked:
    """One direction: energies by group, measured and by time; wrong: what landed elsewhere."""

    direction: str
    measured: dict[str, int]
    by_time: dict[str, int]
    wrong: int
    of_transactions: int


def shares_by_time(settled: Settled, book: Book) -> list[dict[tuple[str, str | None], int]]:
    """Per quarter hour {(group, uuid): energy}, adding up to its total; empty while missing."""
    return [_slot(settled, slot.start_ms, slot.total) for slot in book.slots]


def misbooked(settled: Settled, book: Book) -> Misbooked:
    """How much of a direction's energy sharing by time books in another group."""
    measured: dict[str, int] = {}
    other: dict[str, int] = {}
    wrong = switched = 0
    for slot, shares in zip(book.slots, shares_by_time(settled, book), strict=True):
        one = slot.groups()
        two: dict[str, int] = {}
        for (group, _uuid), energy in shares.items():
            two[group] = two.get(group, 0) + energy
        # what one group has too much, others have too little: each unit is counted once
        wrong += sum(abs(one.get(g, 0) - two.get(g, 0)) for g in one.keys() | two.keys()) // 2
        switched += sum(part.energy for part in slot.parts if part.uuid is not None)
        for sums, of in ((measured, one), (other, two)):
            for group, energy in of.items():
                sums[group] = sums.get(group, 0) + energy
    return Misbooked(book.direction, measured, other, wrong, switched)


def _slot(settled: Settled, start_ms: int, total: int | None) -> dict[tuple[str, str | None], int]:
    if total is None:
        return {}
    groups = settled.point.groups
    end_ms = start_ms + QUARTER_MS
    spans: dict[str, int] = {}
    left = QUARTER_MS
    for low, high, state in settled.timeline.stretches():
        shared = min(high, end_ms) - max(low, start_ms)
        if shared > 0:
            spans[state] = spans.get(state, 0) + shared
            left -= shared
    if left:
        spans[REST] = left
    names: dict[str, tuple[str, str | None]] = {
        REST: (groups.rest, None),
        UNKNOWN: (groups.delta, None),
    }
    booked: dict[tuple[str, str | None], int] = {}
    for state, energy in share_out(spans, QUARTER_MS, total, total).items():
        key = names.get(state, (groups.of(state), state))
        if energy:
            booked[key] = booked.get(key, 0) + energy
    return booked
