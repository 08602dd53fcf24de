"""Device records and gateway records as readings and events of a settlement document.

Takes opened records; seals and signatures are judged where they are read. Each entry keeps the key
of its record, so that a number can be followed back to signed bytes.
"""

from collections.abc import Iterable
from typing import Any

from clsbench.device.records import ENDS, DeviceRecord
from clsbench.errors import BadInput
from clsbench.settlement.document import direction_of
from clsbench.settlement.times import QUARTER_MS, format_ms, parse_ms
from clsbench.smgw.core import status

WATT_HOURS = 30  # DLMS unit code
MAX_DEVIATION_MS = 27_000  # 3 % of the registration period
_FATAL, _UNUSABLE = 4, 3

Entry = tuple[str, dict[str, Any], list[dict[str, Any]]]  # record key, entry, values


def device_body(records: Iterable[DeviceRecord]) -> tuple[dict[str, Any], dict[str, str]]:
    """series, events of one device's sealed records; and place -> record key ("device 17").

    A failsafe, tamper or power-fail record with a UUID ends that transaction, as on the device.
    """
    readings: list[Entry] = []
    events: list[Entry] = []
    for record in sorted(records, key=lambda each: each.seq):
        key = f"device {record.device_id} {record.seq}"
        values = [vars(value) for value in record.values]
        sound = record.time_state == "synchronised" and _small(record.bound_ms)
        if record.taf == 7:
            entry = _reading(record.meter_id, record.event_ms, record.captured_ms)
            entry["ptb"] = 0 if sound else _UNUSABLE
            readings.append((key, entry, values))
        elif record.captured_ms is not None or record.event_ms is not None:
            kind = record.event or "unknown"
            at_ms = record.event_ms if record.captured_ms is None else record.captured_ms
            events.append(
                (
                    key,
                    {
                        "seq": record.seq,
                        "kind": "end" if kind in ENDS and record.uuid else kind,
                        "uuid": record.uuid,
                        "t": format_ms(at_ms or 0),
                        "meter_id": record.meter_id,
                        "cls_id": record.cls_id,
                        "ptb": 0,
                        "time_valid": sound and record.captured_ms is not None,
                    },
                    values,
                )
            )
    return _body(readings, _numbered_apart(events, readings))


def gateway_body(contents: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """The same of verified gateway records (content of the CMS) of one metering point."""
    readings: list[Entry] = []
    events: list[Entry] = []
    order = sorted(contents, key=lambda each: (each["profile_id"], each["seq"]))
    for content in order:
        key = f"gateway {content['smgw_id']} {content['profile_id']} {content['seq']}"
        word = status.from_hex(content["status"])
        ptb = status.ptb(word)
        values = content.get("values") or []
        if content["type"] == "taf7":
            if content.get("due_ms") is not None and values:
                entry = _reading(
                    content["meter_id"], content["due_ms"], content.get("captured_ms")
                )
                entry["ptb"] = ptb
                readings.append((key, entry, values))
            continue
        valid = not status.has(word, status.TIME_NOT_VALID)
        at_ms = content.get("captured_ms") or content.get("event_ms") or 0
        kind = content.get("event") or "unknown"
        entry = {
            "seq": content["seq"],
            "kind": "end" if kind in ENDS and content.get("uuid") else kind,
            "uuid": content.get("uuid"),
            "t": format_ms(at_ms),
            "meter_id": content["meter_id"],
            "cls_id": content.get("cls_id"),
            "ptb": ptb if valid else 0,
            "time_valid": valid and content.get("captured_ms") is not None,
        }
        events.append((key, entry, values))
    return _body(readings, events)


def whole_window(body: dict[str, Any]) -> dict[str, str]:
    """from, to: from a body's first reading to its last, on the grid. Raises BadInput."""
    times = [
        parse_ms(entry.get("t") or entry.get("captured"), "reading")
        for series in body.get("series") or []
        for entry in series.get("readings") or []
    ]
    if not times:
        raise BadInput("no readings, so no window: state it with --from and --to")
    ends = (
        (at_ms + QUARTER_MS // 2) // QUARTER_MS * QUARTER_MS for at_ms in (min(times), max(times))
    )
    return dict(zip(("from", "to"), map(format_ms, ends), strict=True))


def _body(readings: list[Entry], events: list[Entry]) -> tuple[dict[str, Any], dict[str, str]]:
    series: dict[tuple[str, str, int], dict[str, Any]] = {}
    places: dict[str, str] = {}
    for key, entry, values in readings:
        for value in _energies(values):
            of = (entry["meter_id"], value["obis"], value["scaler"])
            if of not in series:
                head = {"meter_id": of[0], "obis": of[1], "scaler": of[2], "unit": "Wh"}
                series[of] = {**head, "readings": []}
            index = list(series).index(of)
            places[f"series[{index}].readings[{len(series[of]['readings'])}]"] = key
            own = {name: entry[name] for name in ("t", "captured", "ptb") if name in entry}
            series[of]["readings"].append({**own, "raw": value["raw"]})
    told = []
    for key, entry, values in events:
        places[f"events[{len(told)}]"] = key
        told.append({**entry, "values": _energies(values)})
    return {"series": list(series.values()), "events": told}, places


def _reading(meter_id: str, due_ms: int | None, captured_ms: int | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"meter_id": meter_id}
    if due_ms is not None and due_ms % QUARTER_MS == 0:
        entry["t"] = format_ms(due_ms)
    if captured_ms is not None:
        entry["captured"] = format_ms(captured_ms)
    if "t" not in entry and "captured" not in entry:
        entry["t"] = format_ms(due_ms or 0)
    return entry


def _energies(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"obis": value["obis"], "raw": value["raw"], "scaler": value["scaler"]}
        for value in values
        if value.get("unit", WATT_HOURS) == WATT_HOURS and direction_of(value["obis"]) is not None
    ]


def _small(bound_ms: int | None) -> bool:
    return bound_ms is not None and bound_ms < MAX_DEVIATION_MS


def _numbered_apart(events: list[Entry], readings: list[Entry]) -> list[Entry]:
    """A device numbers readings and events in one row: events alone are numbered anew.

    A number that neither a reading nor an event bears stays a gap.
    """
    seqs = sorted({int(key.rsplit(" ", 1)[1]) for key, *_rest in (*events, *readings)})
    new: dict[int, int] = {}
    number, before = 0, None
    switching = {entry["seq"] for _key, entry, _values in events}
    for seq in seqs:
        if before is not None and seq > before + 1:
            number += 1  # something is missing here
        if seq in switching:
            number += 1
            new[seq] = number
        before = seq
    return [(key, {**entry, "seq": new[entry["seq"]]}, values) for key, entry, values in events]
