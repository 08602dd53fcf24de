"""The input document of mode `sections`, read into a MeteringPoint.

Knows names, forms and defaults of the document (schema 1); judges nothing. Registers other than
active energy 1.8.0 and 2.8.0 are passed over.
"""

import re
from collections.abc import Mapping
from typing import Any

from clsbench.errors import BadInput
from clsbench.settlement import fields
from clsbench.settlement.model import (
    DIRECTIONS,
    EXPORT,
    IMPORT,
    Event,
    Groups,
    MeterChange,
    MeteringPoint,
    Policy,
    Reading,
    Scaled,
)
from clsbench.settlement.times import DAY_MS, QUARTER_MS, parse_ms

ZONE = "Europe/Berlin"
UNITS = {"Wh": 0, "kWh": 3, "MWh": 6}
MAX_WINDOW_MS = 4000 * DAY_MS
_OBIS = re.compile(r"(?:1-\d{1,3}:)?([12])\.8\.0(?:\*255)?|0100(0[12])0800ff", re.IGNORECASE)


def read_point(body: Mapping[str, Any]) -> MeteringPoint:
    """The metering point of an `input` object. Raises BadInput naming the place."""
    if body.get("timezone", ZONE) != ZONE:
        raise BadInput(f"timezone: {body['timezone']!r}; the daily report knows {ZONE} only")
    from_ms, to_ms = _window(fields.table(body.get("window"), "window"))
    readings: list[Reading] = []
    found: set[str] = set()
    for index, (place, entry) in enumerate(fields.rows(body, "series", "")):
        direction = direction_of(fields.text(entry.get("obis"), f"{place}.obis"))
        if direction is not None:
            found.add(direction)
            readings += _readings(entry, index, direction, place)
    events = tuple(_event(entry, place) for place, entry in fields.rows(body, "events", ""))
    changes = tuple(_change(entry, at) for at, entry in fields.rows(body, "meter_changes", ""))
    last = body.get("last_number_before")
    return MeteringPoint(
        from_ms=from_ms,
        to_ms=to_ms,
        groups=read_groups(body.get("groups")),
        policy=read_policy(body.get("policy")),
        directions=tuple(each for each in DIRECTIONS if each in found),
        readings=tuple(readings),
        events=events,
        open_at_start=frozenset(_texts(body.get("open_at_start"), "open_at_start")),
        last_number_before=None if last is None else fields.whole(last, "last_number_before"),
        meter_changes=tuple(sorted(changes, key=lambda change: change.t_ms)),
        unit_scaler=_finest(body, readings, events, changes),
    )


def direction_of(obis: str) -> str | None:
    """import for 1.8.0, export for 2.8.0 (text with or without group F, or 12 hex digits)."""
    found = _OBIS.fullmatch(obis)
    if found is None:
        return None
    return IMPORT if (found[1] or found[2]).endswith("1") else EXPORT


def read_groups(value: object) -> Groups:
    """The groups; rest and delta must be named."""
    entry = fields.table(value, "groups")
    by_uuid = fields.table(entry.get("by_uuid"), "groups.by_uuid")
    return Groups(
        rest=fields.text(entry.get("rest"), "groups.rest"),
        delta=fields.text(entry.get("delta"), "groups.delta"),
        by_uuid={
            uuid: fields.text(name, f"groups.by_uuid.{uuid}") for uuid, name in by_uuid.items()
        },
    )


def read_policy(value: object) -> Policy:
    """The policies; what is absent takes its default."""
    entry = fields.table(value, "policy")
    default = Policy()
    longest = entry.get("substitute_max_ms", default.substitute_max_ms)
    decimals = entry.get("market_decimals", default.market_decimals)
    return Policy(
        substitute=fields.one_of(
            entry.get("substitute", default.substitute), "policy.substitute", ("none", "linear")
        ),
        substitute_max_ms=fields.whole(longest, "policy.substitute_max_ms", 0, MAX_WINDOW_MS),
        market_decimals=fields.whole(decimals, "policy.market_decimals", 0, 12),
        over_claim=fields.one_of(
            entry.get("over_claim", default.over_claim),
            "policy.over_claim",
            ("refuse", "proportional"),
        ),
    )


def _window(entry: Mapping[str, Any]) -> tuple[int, int]:
    from_ms = parse_ms(entry.get("from"), "window.from")
    to_ms = parse_ms(entry.get("to"), "window.to")
    for name, value in (("from", from_ms), ("to", to_ms)):
        if value % QUARTER_MS:
            raise BadInput(f"window.{name}: {entry[name]!r} is no quarter hour")
    if not 0 <= to_ms - from_ms <= MAX_WINDOW_MS:
        raise BadInput("window: `to` must follow `from`, by at most 4000 days")
    return from_ms, to_ms


def _readings(series: Mapping[str, Any], index: int, direction: str, place: str) -> list[Reading]:
    meter_id = fields.optional_text(series.get("meter_id"), f"{place}.meter_id")
    scaler = fields.scaler(series.get("scaler"), f"{place}.scaler") + _unit(series, place)
    return [
        Reading(
            direction,
            index,
            meter_id,
            fields.whole(entry.get("raw"), f"{where}.raw"),
            scaler,
            _instant(entry, "t", where),
            _instant(entry, "captured", where),
            _ptb(entry, where),
            where,
        )
        for where, entry in fields.rows(series, "readings", f"{place}.")
    ]


def _event(entry: Mapping[str, Any], place: str) -> Event:
    seq = entry.get("seq")
    kind = fields.text(entry.get("kind"), f"{place}.kind")
    uuid = fields.optional_text(entry.get("uuid"), f"{place}.uuid")
    if uuid is None and kind in ("begin", "end"):
        raise BadInput(f"{place}: a {kind} without uuid belongs to no transaction. State its uuid")
    valid = entry.get("time_valid", True)
    if not isinstance(valid, bool):
        raise BadInput(f"{place}.time_valid: expected true or false, found {valid!r}")
    return Event(
        seq=None if seq is None else fields.whole(seq, f"{place}.seq"),
        kind=kind,
        uuid=uuid,
        t_ms=parse_ms(entry.get("t"), f"{place}.t"),
        meter_id=fields.optional_text(entry.get("meter_id"), f"{place}.meter_id"),
        cls_id=fields.optional_text(entry.get("cls_id"), f"{place}.cls_id"),
        values=tuple(sorted(_values(entry, "values", place).items())),
        ptb=_ptb(entry, place),
        time_valid=valid,
        place=place,
    )


def _change(entry: Mapping[str, Any], place: str) -> MeterChange:
    return MeterChange(
        t_ms=parse_ms(entry.get("t"), f"{place}.t"),
        old_meter=fields.text(entry.get("old_meter"), f"{place}.old_meter"),
        new_meter=fields.text(entry.get("new_meter"), f"{place}.new_meter"),
        finals=_values(entry, "finals", place),
        starts=_values(entry, "starts", place),
    )


def _values(holder: Mapping[str, Any], name: str, place: str) -> dict[str, Scaled]:
    values: dict[str, Scaled] = {}
    for where, entry in fields.rows(holder, name, f"{place}."):
        direction = direction_of(fields.text(entry.get("obis"), f"{where}.obis"))
        if direction is not None and entry.get("raw") is not None:
            scaler = fields.scaler(entry.get("scaler"), f"{where}.scaler") + _unit(entry, where)
            values[direction] = (fields.whole(entry["raw"], f"{where}.raw"), scaler)
    return values


def _unit(entry: Mapping[str, Any], place: str) -> int:
    unit = entry.get("unit", "Wh")
    if unit in (30, None):  # DLMS code of Wh
        return 0
    return UNITS[fields.one_of(unit, f"{place}.unit", tuple(UNITS))]


def _instant(entry: Mapping[str, Any], name: str, place: str) -> int | None:
    value = entry.get(name)
    return None if value is None else parse_ms(value, f"{place}.{name}")


def _ptb(entry: Mapping[str, Any], place: str) -> int:
    value = entry.get("ptb")
    return 0 if value is None else fields.whole(value, f"{place}.ptb", 0, 4)


def _texts(value: object, place: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise BadInput(f"{place}: expected a list of texts, found {value!r}")
    return [fields.text(entry, f"{place}[{index}]") for index, entry in enumerate(value)]


def _finest(
    body: Mapping[str, Any],
    readings: list[Reading],
    events: tuple[Event, ...],
    changes: tuple[MeterChange, ...],
) -> int:
    """The finest scaler that occurs (R4)."""
    found = {reading.scaler for reading in readings}
    for place, entry in fields.rows(body, "series", ""):
        if direction_of(entry["obis"]) is not None:
            found.add(fields.scaler(entry.get("scaler"), f"{place}.scaler") + _unit(entry, place))
    for event in events:
        found |= {scaler for _name, (_raw, scaler) in event.values}
    for change in changes:
        for values in (change.finals, change.starts):
            found |= {scaler for _raw, scaler in values.values()}
    return min(found, default=0)
