"""Tables for the SQL expression out of columns (needs numpy, extra `settlement`).

Tables say less than columns: what they cannot say is left to the core (see `sayable`).
"""

from typing import Any

import numpy as np  # pyright: ignore[reportMissingImports]

from clsbench.settlement.boundaries import USABLE
from clsbench.settlement.columns import BEGINS, ENDS, LIMIT, Array, Columns
from clsbench.settlement.fast import odd_series
from clsbench.settlement.times import QUARTER_MS

MAX_RAW = LIMIT >> 24  # so that a line over substitute_max_ms stays within 64 bits
INTEGER, TEXT = "integer", "text"
TABLES = {
    "point": {
        **dict.fromkeys(
            ("point", "from_ms", "quarters", "linear", "longest_ms", "last_number"), INTEGER
        ),
        "rest": TEXT,
        "delta": TEXT,
    },
    "direction": {"point": INTEGER, "direction": TEXT},
    "quarter": {"n": INTEGER},
    "reading": {
        "point": INTEGER,
        "direction": TEXT,
        **dict.fromkeys(("due_ms", "at_ms", "raw", "ptb"), INTEGER),
    },
    "event": dict.fromkeys(("point", "seq", "t_ms", "kind", "tx", "ptb"), INTEGER),
    "event_value": {"point": INTEGER, "direction": TEXT, "seq": INTEGER, "raw": INTEGER},
    "opened": {"point": INTEGER, "tx": INTEGER},
    "transaction_group": {"point": INTEGER, "tx": INTEGER, "grp": TEXT},
}


def sayable(columns: Columns) -> bool:
    """Whether tables say all there is to a point; else the core settles it.

    Not in tables: several meters, repeats, registers that fall, readings or records out of order,
    status 4, records without legal time or without a value, values beside their neighbours.
    """
    events, frame = columns.events, columns.frame
    if not columns.plain or any(odd_series(columns, own) for own in columns.series.values()):
        return False
    if not bool(events.valid.all()) or len(_twice(columns)):
        return False
    ordered = bool((np.diff(events.seq) > 0).all() and (np.diff(events.t_ms) > 0).all())
    last = frame.last_number_before
    if not ordered or (len(events.seq) and int(events.seq[0]) <= (-1 if last is None else last)):
        return False
    return all(_level(columns, name) for name in frame.directions)


def _twice(columns: Columns) -> Array:
    """Transactions with two begins, two ends, or an end before the begin."""
    events = columns.events
    index = {uuid: number for number, uuid in enumerate(columns.uuids)}
    opened = [index[uuid] for uuid in columns.frame.open_at_start if uuid in index]
    begins = np.concatenate((np.array(opened, np.int64), events.tx[events.kind == BEGINS]))
    ends = events.tx[events.kind == ENDS]
    size = len(columns.uuids)
    began, ended = np.full(size, -LIMIT), np.full(size, LIMIT)
    began[events.tx[events.kind == BEGINS]] = events.t_ms[events.kind == BEGINS]
    ended[ends] = events.t_ms[events.kind == ENDS]
    often = (np.bincount(begins, minlength=size) > 1) | (np.bincount(ends, minlength=size) > 1)
    return np.flatnonzero(often | (began > ended))


def _level(columns: Columns, name: str) -> bool:
    """Whether readings and events of a direction rise together."""
    events, own = columns.events, columns.series[name]
    usable = own.ptb <= USABLE
    times, values = own.at_ms[usable], own.raw[usable]
    heard = (events.ptb <= USABLE) & events.has[name]
    if not bool(events.has[name][events.kind != 0].all()):
        return False
    raw, at_ms = events.raw[name][heard], events.t_ms[heard]
    every = np.concatenate((values, raw))
    if len(every) and (int(every.min()) < 0 or int(every.max()) > MAX_RAW):
        return False
    if bool((np.diff(values) < 0).any()) or bool((np.diff(raw) < 0).any()):
        return False
    if not len(values):
        return True
    low = np.searchsorted(times, at_ms, "right") - 1
    high = np.searchsorted(times, at_ms, "left")
    above = (low < 0) | (raw >= values[np.clip(low, 0, None)])
    below = (high == len(values)) | (raw <= values[np.clip(high, 0, len(values) - 1)])
    return bool((above & below).all())


def tables_of(number: int, columns: Columns) -> dict[str, dict[str, Any]]:
    """The rows of one point in each table but `quarter`, by column. number: its key."""
    frame, events = columns.frame, columns.events
    names = frame.directions
    opened = sorted(frame.open_at_start)
    uuids = columns.uuids + [uuid for uuid in opened if uuid not in set(columns.uuids)]
    index = {uuid: place for place, uuid in enumerate(uuids)}
    named = [uuid for uuid in uuids if uuid in frame.groups.by_uuid]
    point = {
        "point": [number],
        "from_ms": [frame.from_ms],
        "quarters": [quarters(columns)],
        "linear": [int(frame.policy.substitute == "linear")],
        "longest_ms": [frame.policy.substitute_max_ms],
        "last_number": [frame.last_number_before],
        "rest": [frame.groups.rest],
        "delta": [frame.groups.delta],
    }
    series = [columns.series[name] for name in names]
    counts = [len(own.due_ms) for own in series]
    values = [events.has[name] for name in names]
    heard = [int(has.sum()) for has in values]
    return {
        "point": point,
        "direction": {"point": [number] * len(names), "direction": list(names)},
        "reading": {
            "point": np.full(sum(counts), number),
            "direction": np.repeat(np.array(names, dtype=object), counts),
            **{
                column: _joined([getattr(own, column) for own in series])
                for column in ("due_ms", "at_ms", "raw", "ptb")
            },
        },
        "event": {
            "point": np.full(len(events.seq), number),
            **{column: getattr(events, column) for column in ("seq", "t_ms", "kind", "tx", "ptb")},
        },
        "event_value": {
            "point": np.full(sum(heard), number),
            "direction": np.repeat(np.array(names, dtype=object), heard),
            "seq": _joined([events.seq[has] for has in values]),
            "raw": _joined(
                [events.raw[name][has] for name, has in zip(names, values, strict=True)]
            ),
        },
        "opened": {
            "point": [number] * len(opened),
            "tx": [index[uuid] for uuid in opened],
        },
        "transaction_group": {
            "point": [number] * len(named),
            "tx": [index[uuid] for uuid in named],
            "grp": [frame.groups.by_uuid[uuid] for uuid in named],
        },
    }


def quarters(columns: Columns) -> int:
    """How many quarter hours the window of a point has."""
    return (columns.frame.to_ms - columns.frame.from_ms) // QUARTER_MS


def _joined(columns: list[Array]) -> Array:
    return np.concatenate(columns) if columns else np.zeros(0, dtype=np.int64)
