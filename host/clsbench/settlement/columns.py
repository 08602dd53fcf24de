"""A metering point as columns of numbers, for the fast engine (needs numpy, extra `settlement`).

Everything is int64 in units of 10^unit_scaler Wh and UTC milliseconds. Columns say less than the
document: what they cannot say (other meters, readings beside the grid) keeps `plain` False, and
the point is settled by the core.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np  # pyright: ignore[reportMissingImports]

from clsbench.settlement.boundaries import TOLERANCE_MS
from clsbench.settlement.model import BEGIN, END, Event, MeteringPoint, Reading
from clsbench.settlement.times import QUARTER_MS

NEUTRAL, BEGINS, ENDS = 0, 1, 2
KINDS = ("neutral", BEGIN, END)
LIMIT = 1 << 60  # values beyond are left to the core, whose integers have no end

Array = Any  # numpy.ndarray; numpy is no dependency of the package


@dataclass(slots=True)
class Series:
    """Readings of one direction, sorted by due time; at_ms: their place among the events."""

    due_ms: Array
    at_ms: Array
    raw: Array
    ptb: Array


@dataclass(slots=True)
class Events:
    """Records in order of time. tx: index into `uuids`, -1 without; raw, has: by direction."""

    seq: Array
    t_ms: Array
    kind: Array
    tx: Array
    ptb: Array
    valid: Array
    raw: dict[str, Array]
    has: dict[str, Array]


@dataclass(slots=True)
class Columns:
    """frame: window, groups, policy, directions; its readings and events only where not plain."""

    frame: MeteringPoint
    series: dict[str, Series]
    events: Events
    uuids: list[str]
    plain: bool = True

    def point(self) -> MeteringPoint:
        """The metering point with events as objects, but readings only where they were odd."""
        if not self.plain or self.frame.events:
            return self.frame
        return replace(
            self.frame, events=tuple(_event(self, i) for i in range(len(self.events.seq)))
        )

    def whole_point(self) -> MeteringPoint:
        """The metering point with readings and events as objects, as the core takes it."""
        if not self.plain or self.frame.readings:
            return self.frame
        readings = [
            Reading(name, 0, None, raw, self.frame.unit_scaler, due, at, ptb, f"{name}[{index}]")
            for name, own in self.series.items()
            for index, (due, at, raw, ptb) in enumerate(
                zip(
                    own.due_ms.tolist(),
                    own.at_ms.tolist(),
                    own.raw.tolist(),
                    own.ptb.tolist(),
                    strict=True,
                )
            )
        ]
        return replace(self.point(), readings=tuple(readings))


def columns_of(point: MeteringPoint) -> Columns:
    """The columns of a metering point; not plain where they would say less than the point."""
    meters = {reading.meter_id for reading in point.readings}
    plain = len(meters) <= 1 and not point.meter_changes
    plain = plain and all(event.meter_id in (None, *meters) for event in point.events)
    rows: dict[str, list[tuple[int, int, int, int]]] = {name: [] for name in point.directions}
    for reading in point.readings:
        row = _row(point, reading)
        if row is None:
            plain = False
        else:
            rows[reading.direction].append(row)
    ordered = sorted(point.events, key=lambda e: (e.t_ms, -1 if e.seq is None else e.seq))
    plain = plain and all(abs(v[0]) < 10**12 for e in ordered for _n, v in e.values)
    plain = plain and all(abs(row[2]) < LIMIT for of in rows.values() for row in of)
    uuids = sorted({event.uuid for event in ordered if event.uuid is not None})
    series = {name: _series(sorted(of)) for name, of in rows.items()} if plain else {}
    return Columns(point, series, _events(point, ordered, uuids, plain), uuids, plain)


def _row(point: MeteringPoint, reading: Reading) -> tuple[int, int, int, int] | None:
    due_ms, at_ms = reading.due_ms, reading.captured_ms
    if due_ms is None and at_ms is not None:
        near = (at_ms + QUARTER_MS // 2) // QUARTER_MS * QUARTER_MS
        due_ms = near if abs(at_ms - near) <= TOLERANCE_MS else None
    if due_ms is None or due_ms % QUARTER_MS:
        return None
    units = point.scaled((reading.raw, reading.scaler))
    return due_ms, due_ms if at_ms is None else at_ms, units, reading.ptb


def _series(rows: list[tuple[int, int, int, int]]) -> Series:
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Series(table[:, 0], table[:, 1], table[:, 2], table[:, 3])


def _events(point: MeteringPoint, ordered: list[Event], uuids: list[str], plain: bool) -> Events:
    index = {uuid: number for number, uuid in enumerate(uuids)}
    kinds = {BEGIN: BEGINS, END: ENDS}
    raw, has = {}, {}
    for name in point.directions:
        values = [event.value(name) for event in ordered] if plain else []
        raw[name] = np.array([point.scaled(v) if v else 0 for v in values], dtype=np.int64)
        has[name] = np.array([v is not None for v in values], dtype=bool)
    return Events(
        seq=np.array([-1 if e.seq is None else e.seq for e in ordered], dtype=np.int64),
        t_ms=np.array([e.t_ms for e in ordered], dtype=np.int64),
        kind=np.array([kinds.get(e.kind, NEUTRAL) for e in ordered], dtype=np.int64),
        tx=np.array([index.get(e.uuid or "", -1) for e in ordered], dtype=np.int64),
        ptb=np.array([e.ptb for e in ordered], dtype=np.int64),
        valid=np.array([e.time_valid for e in ordered], dtype=bool),
        raw=raw,
        has=has,
    )


def _event(columns: Columns, index: int) -> Event:
    events = columns.events
    values = tuple(
        (name, (int(events.raw[name][index]), columns.frame.unit_scaler))
        for name in sorted(events.raw)
        if events.has[name][index]
    )
    tx, seq = int(events.tx[index]), int(events.seq[index])
    return Event(
        seq=None if seq < 0 else seq,
        kind=KINDS[int(events.kind[index])],
        uuid=None if tx < 0 else columns.uuids[tx],
        t_ms=int(events.t_ms[index]),
        meter_id=None,
        cls_id=None,
        values=values,
        ptb=int(events.ptb[index]),
        time_valid=bool(events.valid[index]),
        place=f"events[{index}]",
    )
