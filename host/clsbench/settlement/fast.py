"""The fast engine: the same digits as the core, a metering point's year at a time in arrays.

Sound rows go through numpy; where records or values are doubtful, the core's own judgement of the
*events* (its history, its cuts) is put in their place, so that there is one set of rules. Points
that columns cannot say wholly are settled by the core. Needs numpy (extra `settlement`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np  # pyright: ignore[reportMissingImports]

from clsbench.settlement import fast_events
from clsbench.settlement.boundaries import BILLABLE, USABLE
from clsbench.settlement.columns import Array, Columns, Series
from clsbench.settlement.fast_events import REST, UNKNOWN, Course, Grid
from clsbench.settlement.findings import Finding, in_order
from clsbench.settlement.sections import Book, Settled, settle_point
from clsbench.settlement.times import QUARTER_MS

MISSING, SETTLED, FAULTY = 0, 1, 2
NONE, MEASURED, SUBSTITUTE = 0, 1, 2


@dataclass(slots=True)
class FastBook:
    """One direction. total, state, quality: per quarter hour; parts: columns, one row a part.

    part_tx: index into `uuids`, REST or UNKNOWN. tx_energy: one per UUID, -1 where not known.
    """

    direction: str
    total: Array
    state: Array
    quality: Array
    part_slot: Array
    part_tx: Array
    part_energy: Array
    tx_energy: Array


@dataclass(slots=True)
class FastResult:
    """What the engine made of a point. by_core: it was settled by the core as a whole.

    course: of its transactions, for `settle_late`.
    """

    from_ms: int
    uuids: list[str]
    books: list[FastBook]
    findings: list[Finding]
    by_core: Settled | None = None
    course: Course | None = None


def settle_columns(columns: Columns, course: Course | None = None) -> FastResult:
    """Settles a metering point; digits, states, qualities and findings equal to the core's.

    course: of the same events, where it is known already.
    """
    frame = columns.frame
    if not columns.plain or any(odd_series(columns, own) for own in columns.series.values()):
        return _by_core(columns)
    course = course or fast_events.course_of(columns)
    findings = list(course.findings)
    books = []
    for name in frame.directions:
        grid = _grid(columns, name, columns.series[name], findings)
        measured = grid.known.copy()
        cuts = fast_events.cuts_of(columns, name, grid, course, findings)
        if frame.policy.substitute == "linear" and not grid.known.all():
            _fill(columns, grid, cuts)
        for index in np.flatnonzero(~measured).tolist():
            at_ms = frame.from_ms + index * QUARTER_MS
            findings.append(Finding("missing_boundary", at_ms, direction=name))
        energies = fast_events.energies(columns, name, course, cuts)
        books.append(_share(name, grid, cuts, course, energies))
    return FastResult(frame.from_ms, course.uuids, books, in_order(findings), None, course)


def odd_series(columns: Columns, own: Series) -> bool:
    """What array engines leave to the core: repeats, disorder, late captures, fatal status."""
    frame = columns.frame
    if len(own.due_ms) == 0:
        return False
    steps = np.diff(own.due_ms)
    outside = own.due_ms[0] < frame.from_ms or own.due_ms[-1] > frame.to_ms
    disorder = bool((steps <= 0).any()) or bool((np.diff(own.at_ms) <= 0).any())
    far = bool((np.abs(own.at_ms - own.due_ms) >= QUARTER_MS // 2).any())
    fatal = bool((own.ptb == 4).any()) or bool((columns.events.ptb == 4).any())
    return bool(outside or disorder or far or fatal)


def _grid(columns: Columns, name: str, own: Series, findings: list[Finding]) -> Grid:
    frame = columns.frame
    due = np.arange(frame.from_ms, frame.to_ms + 1, QUARTER_MS, dtype=np.int64)
    usable = own.ptb <= USABLE
    falls = np.zeros(len(due), dtype=np.int64)
    if usable.all() and np.array_equal(own.due_ms, due) and bool((np.diff(own.raw) >= 0).all()):
        known, substitute = np.ones(len(due), dtype=bool), own.ptb > BILLABLE
        return Grid(due, own.at_ms, own.raw, falls, known, substitute)
    grid = Grid(
        due,
        due.copy(),
        np.zeros(len(due), dtype=np.int64),
        falls,
        np.zeros(len(due), dtype=bool),
        np.zeros(len(due), dtype=bool),
    )
    for row in np.flatnonzero(~usable).tolist():
        place, at_ms = f"{name}[{row}]", int(own.due_ms[row])
        findings.append(Finding("boundary_unusable", at_ms, None, name, place, int(own.raw[row])))
    where = (own.due_ms[usable] - frame.from_ms) // QUARTER_MS
    grid.at_ms[where] = own.at_ms[usable]
    grid.value[where] = own.raw[usable]
    grid.known[where] = True
    grid.substitute[where] = own.ptb[usable] > BILLABLE
    rows = np.flatnonzero(grid.known)
    falls = np.zeros(len(rows), dtype=np.int64)
    falls[1:] = np.diff(grid.value[rows]) < 0
    grid.epoch[rows] = np.cumsum(falls)
    for row in rows[falls == 1].tolist():
        at_ms = frame.from_ms + row * QUARTER_MS
        findings.append(Finding("register_fall", at_ms, None, name, "", int(grid.value[row])))
    return grid


def _fill(columns: Columns, grid: Grid, cuts: fast_events.CutColumns) -> None:
    """Straight lines between the nearest known registers (R11), for the boundaries that lack."""
    policy = columns.frame.policy
    rows = np.flatnonzero(grid.known)
    at = np.concatenate((grid.at_ms[rows], cuts.anchor_at))
    value = np.concatenate((grid.value[rows], cuts.anchor_value))
    epoch = np.concatenate((grid.epoch[rows], cuts.anchor_epoch))
    order = np.lexsort((value, epoch, at))
    at, value, epoch = at[order], value[order], epoch[order]
    for row in np.flatnonzero(~grid.known).tolist():
        due_ms = columns.frame.from_ms + row * QUARTER_MS
        low = int(np.searchsorted(at, due_ms, "right")) - 1
        high = int(np.searchsorted(at, due_ms, "left"))
        if low < 0 or high == len(at) or epoch[low] != epoch[high]:
            continue
        span = int(at[high]) - int(at[low])
        if span > policy.substitute_max_ms:
            continue
        start, found = int(value[low]), int(value[high])
        if span > 0:
            total = start * span + (found - start) * (due_ms - int(at[low]))
            found = total // span if total >= 0 else -(-total // span)
        grid.value[row], grid.epoch[row] = found, epoch[low]
        grid.known[row] = grid.substitute[row] = True


def _share(
    name: str, grid: Grid, cuts: fast_events.CutColumns, course: Course, energies: Array
) -> FastBook:
    usable = grid.known[:-1] & grid.known[1:] & (grid.epoch[:-1] == grid.epoch[1:])
    total = np.where(usable, np.diff(grid.value), -1)
    at, value, slot = _rows(grid, cuts)
    energy = np.diff(value)
    keep = np.flatnonzero((energy != 0) & _inside(slot[:-1], usable))
    if cuts.cuts is None and course.history is None:
        states = course.states[keep - slot[keep]]  # as many cuts as rows that are no readings
    else:
        states = course.over(at[keep], at[keep + 1])
        marked = np.zeros(len(at), dtype=bool)
        passed = np.searchsorted(grid.at_ms, cuts.mark_at, "right") + cuts.mark_count
        marked[passed[passed > 0] - 1] = True
        states[marked[keep]] = UNKNOWN
    slot, energy = slot[keep], energy[keep]
    doubtful = np.zeros(len(usable), dtype=bool)
    doubtful[slot[states == UNKNOWN]] = True
    either = np.logical_or(grid.substitute[:-1], grid.substitute[1:])
    key = slot * (len(course.uuids) + 2) + (states - UNKNOWN)
    sort = np.argsort(key, kind="stable")
    key = key[sort]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    first = sort[starts]
    return FastBook(
        name,
        total,
        np.where(usable, np.where(doubtful, FAULTY, SETTLED), MISSING).astype(np.int8),
        np.where(usable, np.where(either, SUBSTITUTE, MEASURED), NONE).astype(np.int8),
        slot[first],
        states[first],
        np.add.reduceat(energy[sort], starts) if len(starts) else energy,
        energies,
    )


def _rows(grid: Grid, cuts: fast_events.CutColumns) -> tuple[Array, Array, Array]:
    """Readings and cuts in one row of time: instants, registers, and the quarter hour (or -1)."""
    passed = np.searchsorted(grid.at_ms, cuts.at_ms, "right")
    count = len(grid.at_ms) + len(cuts.at_ms)
    is_cut = np.zeros(count, dtype=bool)
    is_cut[passed + np.arange(len(cuts.at_ms))] = True
    read = ~is_cut
    at, value, slot = (np.empty(count, dtype=np.int64) for _ in range(3))
    at[is_cut], value[is_cut], slot[is_cut] = cuts.at_ms, cuts.value, passed - 1
    at[read], value[read], slot[read] = grid.at_ms, grid.value, np.arange(len(grid.at_ms))
    return at, value, slot


def _inside(slot: Array, usable: Array) -> Array:
    """Which sections lie in a quarter hour whose total is known."""
    if not len(usable):
        return np.zeros(len(slot), dtype=bool)
    inside = (slot >= 0) & (slot < len(usable))
    return inside if usable.all() else inside & usable[np.clip(slot, 0, len(usable) - 1)]


def _by_core(columns: Columns) -> FastResult:
    settled = settle_point(columns.whole_point())
    frame = columns.frame
    uuids = sorted(settled.history.transactions)
    index = {uuid: number for number, uuid in enumerate(uuids)}
    books = []
    for book in settled.books:
        rows: list[tuple[int, int, int]] = []
        for number, sections in enumerate(book.sections):
            of: dict[int, int] = {}
            for section in sections:
                tx = {"": REST, "\0": UNKNOWN}.get(section.state, index.get(section.state, REST))
                of[tx] = of.get(tx, 0) + section.energy
            rows += [(number, tx, energy) for tx, energy in sorted(of.items()) if energy]
        table = np.array(rows, dtype=object).reshape(-1, 3)
        words = ("missing", "settled", "faulty"), ("none", "measured", "substitute")
        books.append(
            FastBook(
                book.direction,
                np.array([-1 if s.total is None else s.total for s in book.slots], dtype=object),
                np.array([words[0].index(s.state) for s in book.slots], dtype=np.int8),
                np.array([words[1].index(s.quality) for s in book.slots], dtype=np.int8),
                table[:, 0].astype(np.int64),
                table[:, 1].astype(np.int64),
                table[:, 2],
                np.array([_known(settled, uuid, book) for uuid in uuids], dtype=object),
            )
        )
    return FastResult(frame.from_ms, uuids, books, settled.findings, settled)


def _known(settled: Settled, uuid: str, book: Book) -> int:
    energy = settled.energy(settled.history.transactions[uuid], book)
    return -1 if energy is None else energy


def shares(columns: Columns, result: FastResult) -> list[dict[str, Any]]:
    """Per direction and quarter hour: {(group, uuid): energy}; for comparison with the core."""
    groups = columns.frame.groups
    found = []
    for book in result.books:
        parts: list[dict[tuple[str, str | None], int]] = [{} for _ in range(len(book.total))]
        rows = zip(book.part_slot, book.part_tx, book.part_energy, strict=True)
        for slot, tx, energy in rows:
            if tx >= 0:
                key = (groups.of(result.uuids[tx]), result.uuids[tx])
            else:
                key = (groups.rest if tx == REST else groups.delta, None)
            of = parts[int(slot)]
            of[key] = of.get(key, 0) + int(energy)
        found.append({"direction": book.direction, "parts": parts})
    return found
