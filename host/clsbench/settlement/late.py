"""A late reading settled anew: only the quarter hours it can change, out of a point's columns.

A reading changes its own two quarter hours, and with a substitute policy those whose line it may
anchor; a fatal status or a repeat is for the whole point. Needs numpy (extra `settlement`).
"""

from dataclasses import replace

import numpy as np  # pyright: ignore[reportMissingImports]

from clsbench.settlement.columns import Columns, Series
from clsbench.settlement.fast import FastResult, settle_columns
from clsbench.settlement.fast_events import Course
from clsbench.settlement.times import DAY_MS, QUARTER_MS


def settle_late(
    columns: Columns, direction: str, due_ms: int, course: Course | None = None
) -> FastResult:
    """The quarter hours a reading due at `due_ms` can change; columns already hold it.

    Readings are taken from as far around as a substitute's anchors may lie; events all, as their
    history does not end at a window's edge. course: of the point's last result, which spares
    pairing its records anew; only those within a day are then held against readings. Energies of
    transactions hold where both their events lie among these quarter hours.
    """
    policy = columns.frame.policy
    reach = policy.substitute_max_ms if policy.substitute == "linear" else 0
    reach = -(-reach // QUARTER_MS) * QUARTER_MS + QUARTER_MS
    low = max(columns.frame.from_ms, due_ms - 2 * reach)
    high = min(columns.frame.to_ms, due_ms + 2 * reach)
    series = {
        name: _between(own, low, high) for name, own in columns.series.items() if name == direction
    }
    frame = replace(columns.frame, from_ms=low, to_ms=high, directions=(direction,))
    near = None if course is None else _near(course, low - DAY_MS, high + DAY_MS)
    result = settle_columns(replace(columns, frame=frame, series=series), near)
    return _trimmed(result, max(low, due_ms - reach), min(high, due_ms + reach))


def _near(course: Course, low: int, high: int) -> Course:
    """The course with the records of a doubtful history cut down to an interval."""
    history, point = course.history, course.point
    if history is None or point is None:
        return course
    switching = [each for each in history.switching if low <= each[0] <= high]
    uuids = {event.uuid for _at_ms, event in switching}
    transactions = {u: one for u, one in history.transactions.items() if u in uuids}
    events = tuple(event for event in point.events if low <= event.t_ms <= high)
    return replace(
        course,
        history=replace(history, switching=switching, transactions=transactions),
        point=replace(point, events=events),
    )


def _trimmed(result: FastResult, low: int, high: int) -> FastResult:
    """The quarter hours from low to high: those at the edges lack readings beyond."""
    first, last = ((at - result.from_ms) // QUARTER_MS for at in (low, high))
    for book in result.books:
        keep = (book.part_slot >= first) & (book.part_slot < last)
        book.total, book.state, book.quality = (
            column[first:last] for column in (book.total, book.state, book.quality)
        )
        book.part_slot = book.part_slot[keep] - first
        book.part_tx, book.part_energy = book.part_tx[keep], book.part_energy[keep]
    result.findings = [
        each for each in result.findings if each.at_ms is None or low <= each.at_ms <= high
    ]
    result.from_ms = low
    return result


def _between(own: Series, low: int, high: int) -> Series:
    first = int(np.searchsorted(own.due_ms, low, "left"))
    last = int(np.searchsorted(own.due_ms, high, "right"))
    cut = slice(first, last)
    return Series(own.due_ms[cut], own.at_ms[cut], own.raw[cut], own.ptb[cut])
