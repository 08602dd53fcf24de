"""Events for the fast engine: who was on when, and where the register was read at it.

A row of records in which begin and end alternate soundly goes through numpy; any doubt hands the
point's events to the core's history and cuts.
"""

from dataclasses import dataclass, field, replace

import numpy as np  # pyright: ignore[reportMissingImports]

from clsbench.settlement import timeline
from clsbench.settlement.boundaries import BILLABLE, Ledger, Point
from clsbench.settlement.columns import BEGINS, ENDS, Array, Columns
from clsbench.settlement.cuts import Cut, Cuts, build_cuts, edges_of, energy_of
from clsbench.settlement.findings import Finding
from clsbench.settlement.meters import Meters
from clsbench.settlement.model import MeteringPoint
from clsbench.settlement.transactions import EARLIEST, History, build_history

REST, UNKNOWN = -1, -2


@dataclass(slots=True)
class Course:
    """States by instant: from starts[i] on states[i] holds (index into uuids, REST, UNKNOWN)."""

    starts: Array
    states: Array
    uuids: list[str]
    findings: list[Finding]
    history: History | None = None
    point: MeteringPoint | None = None

    def over(self, from_ms: Array, to_ms: Array) -> Array:
        """The state throughout each [from, to); UNKNOWN where it changes or takes no time.

        from_ms, to_ms: each in order.
        """
        first = _passed(np.searchsorted(from_ms, self.starts, "left"), len(from_ms)) - 1
        last = _passed(np.searchsorted(to_ms, self.starts, "right"), len(to_ms)) - 1
        return np.where((first == last) & (to_ms > from_ms), self.states[first], UNKNOWN)


def _passed(where: Array, count: int) -> Array:
    """How many of `where` are at or before each index below count."""
    return np.cumsum(np.bincount(where, minlength=count + 1))[:count]


@dataclass(slots=True)
class Grid:
    """The register at every quarter hour of the window; known: measured or substituted."""

    due_ms: Array
    at_ms: Array
    value: Array
    epoch: Array
    known: Array
    substitute: Array


@dataclass(slots=True)
class CutColumns:
    """Cuts in order of position; anchors: all usable event registers, for substitutes."""

    at_ms: Array
    value: Array
    anchor_at: Array
    anchor_value: Array
    anchor_epoch: Array
    mark_at: Array  # doubtful values: instant, number of cuts before
    mark_count: Array
    cuts: Cuts | None = field(default=None)


def course_of(columns: Columns) -> Course:
    """The course of a point's transactions."""
    events, frame = columns.events, columns.frame
    if _sound(columns):
        rows = np.flatnonzero(events.kind != 0)
        starts = np.concatenate(([EARLIEST - 1], events.t_ms[rows]))
        begins = events.kind[rows] == BEGINS
        states = np.concatenate(([REST], np.where(begins, events.tx[rows], REST)))
        return Course(starts, states, columns.uuids, [])
    point = columns.point()
    history = build_history(replace(point, readings=()))
    line = timeline.Timeline(history)
    uuids = sorted(set(columns.uuids) | set(frame.open_at_start))
    index = {uuid: number for number, uuid in enumerate(uuids)}
    index |= {timeline.REST: REST, timeline.UNKNOWN: UNKNOWN}
    starts, states = line.changes()
    return Course(
        np.array(starts, dtype=np.int64),
        np.array([index[state] for state in states], dtype=np.int64),
        uuids,
        list(history.findings),
        history,
        point,
    )


def cuts_of(
    columns: Columns, name: str, grid: Grid, course: Course, findings: list[Finding]
) -> CutColumns:
    """The usable registers of events in one direction; doubts go to findings."""
    events = columns.events
    if course.history is None and _fits(columns, name, grid):
        rows = np.flatnonzero(events.kind != 0)
        at, value = events.t_ms[rows], events.raw[name][rows]
        epoch = grid.epoch[np.flatnonzero(grid.known)[:1]]
        epochs = np.full(len(events.t_ms), epoch[0] if len(epoch) else 0, dtype=np.int64)
        none = np.zeros(0, dtype=np.int64)
        return CutColumns(at, value, events.t_ms, events.raw[name], epochs, none, none)
    point = course.point or columns.point()
    history = course.history or build_history(replace(point, readings=()))
    course.history, course.point = history, point
    rows = np.flatnonzero(grid.known)
    beside = _beside(grid.at_ms[rows], events.t_ms)
    points = [
        Point(
            int(grid.at_ms[row]),
            int(grid.due_ms[row]),
            0,
            int(grid.value[row]),
            int(grid.epoch[row]),
        )
        for row in rows[beside].tolist()
    ]
    bare = replace(point, readings=())
    ledger = Ledger(name, Meters(bare, name), points, [])
    neutral = [event for event in dict.fromkeys(point.events) if not event.switches]
    cuts = build_cuts(ledger, history, neutral)
    findings += cuts.findings
    return _columns(*edges_of(cuts, history), cuts)


def energies(columns: Columns, name: str, course: Course, cuts: CutColumns) -> Array:
    """Energy of each transaction in one direction, by index of `course.uuids`; -1: not known."""
    found = np.full(len(course.uuids), -1, dtype=np.int64)
    if cuts.cuts is None:
        events = columns.events
        rows = np.flatnonzero(events.kind != 0)
        raw = events.raw[name][rows]
        found[events.tx[rows[::2]]] = raw[1::2] - raw[::2]
    elif course.history is not None:
        index = {uuid: number for number, uuid in enumerate(course.uuids)}
        for uuid, one in course.history.transactions.items():
            energy = energy_of(one, cuts.cuts)
            found[index[uuid]] = -1 if energy is None else energy
    return found


def _columns(known: list[Cut], marks: list[tuple[int, int]], cuts: Cuts) -> CutColumns:
    anchors = cuts.cuts + cuts.extra
    return CutColumns(
        np.array([cut.at_ms for cut in known], dtype=np.int64),
        np.array([cut.value for cut in known], dtype=np.int64),
        np.array([cut.at_ms for cut in anchors], dtype=np.int64),
        np.array([cut.value for cut in anchors], dtype=np.int64),
        np.array([cut.epoch for cut in anchors], dtype=np.int64),
        np.array([at_ms for at_ms, _count in marks], dtype=np.int64),
        np.array([count for _at, count in marks], dtype=np.int64),
        cuts,
    )


def _beside(times: Array, at_ms: Array) -> Array:
    """Indices of the points just before, at and just behind each instant."""
    if len(times) == 0:
        return np.zeros(0, dtype=np.int64)
    low = np.searchsorted(times, at_ms, "left")
    high = np.searchsorted(times, at_ms, "right")
    near = np.concatenate((low - 1, low, high - 1, high))
    return np.unique(near[(near >= 0) & (near < len(times))])


def _sound(columns: Columns) -> bool:
    """Begin and end alternate, each UUID once, numbers without gap, legal time throughout."""
    events, frame = columns.events, columns.frame
    if frame.open_at_start or not bool(events.valid.all()):
        return False
    if len(events.seq) == 0:
        return True
    last = frame.last_number_before
    first_ok = last is None or int(events.seq[0]) == last + 1
    numbered = bool((np.diff(events.seq) == 1).all()) and int(events.seq[0]) >= 0
    in_time = bool((np.diff(events.t_ms) > 0).all())
    rows = np.flatnonzero(events.kind != 0)
    kind, tx = events.kind[rows], events.tx[rows]
    paired = len(rows) % 2 == 0 and bool((kind[::2] == BEGINS).all())
    paired = paired and bool((kind[1::2] == ENDS).all()) and bool((tx[::2] == tx[1::2]).all())
    return bool(first_ok and numbered and in_time and paired and _once(tx[::2]))


def _once(tx: Array) -> bool:
    return len(tx) == 0 or int(np.bincount(tx).max()) == 1


def _fits(columns: Columns, name: str, grid: Grid) -> bool:
    """Every record has a billable value that lies between its neighbours; no fall anywhere."""
    events = columns.events
    if not bool(events.has[name].all()) or bool((events.ptb > BILLABLE).any()):
        return False
    if len(events.t_ms) == 0:
        return True
    rows = np.flatnonzero(grid.known)
    if len(rows) and grid.epoch[rows[-1]] != grid.epoch[rows[0]]:
        return False
    times, values = grid.at_ms[rows], grid.value[rows]
    raw = events.raw[name]
    if bool((np.diff(raw) < 0).any()):
        return False
    low = np.searchsorted(times, events.t_ms, "right") - 1
    high = np.searchsorted(times, events.t_ms, "left")
    above = (low < 0) | (raw >= values[np.clip(low, 0, None)] if len(values) else True)
    below = (high == len(values)) | (
        raw <= values[np.clip(high, 0, len(values) - 1)] if len(values) else True
    )
    return bool((above & below).all())
