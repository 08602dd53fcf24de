"""Readings and events as CSV, read into and written from an input document.

One row is one reading or one value of an event; the columns are COLUMNS, in any order, absent ones
empty. Rows of one event (same seq, kind, uuid and t) are one event with several values.
"""

import csv
import io
from typing import Any

from clsbench.errors import BadInput
from clsbench.settlement import fields
from clsbench.settlement.times import parse_ms

COLUMNS = (
    "row",
    "t",
    "captured",
    "meter_id",
    "obis",
    "raw",
    "scaler",
    "ptb",
    "seq",
    "kind",
    "uuid",
    "cls_id",
    "time_valid",
)
READING, EVENT = "reading", "event"


def read_csv(text: str, name: str) -> dict[str, Any]:
    """series[] and events[] of an input document. name: for messages. Raises BadInput."""
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
        unknown = set(reader.fieldnames or ()) - set(COLUMNS)
        if unknown or "row" not in (reader.fieldnames or ()):
            raise BadInput(
                f"{name}: columns must be {', '.join(COLUMNS)} (`row` is a must); "
                f"unknown: {', '.join(sorted(unknown)) or 'none'}"
            )
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise BadInput(f"{name}: is no CSV: {error}") from error
    series: dict[tuple, dict[str, Any]] = {}
    events: dict[tuple, dict[str, Any]] = {}
    for line, row in rows:
        place = f"{name} line {line}"
        if None in row:
            raise BadInput(f"{place}: more fields than the first line names")
        kind = fields.one_of(row["row"], f"{place}, row", (READING, EVENT))
        if kind == READING:
            _add_reading(series, row, place)
        else:
            _add_event(events, row, place)
    return {"series": list(series.values()), "events": list(events.values())}


def write_csv(body: dict[str, Any]) -> str:
    """The CSV of an input document's series and events."""
    out = io.StringIO(newline="")
    writer: csv.DictWriter[str] = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table_rows(body))
    return out.getvalue()


def table_rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    """A document's series and events as rows with COLUMNS, for CSV and Parquet."""
    rows: list[dict[str, Any]] = []
    for series in body.get("series", []):
        shared = {name: series.get(name) for name in ("meter_id", "obis", "scaler")}
        for entry in series.get("readings", []):
            own = {name: entry.get(name) for name in ("t", "captured", "raw", "ptb")}
            rows.append({"row": READING, **shared, **own})
    names = ("t", "meter_id", "ptb", "seq", "kind", "uuid", "cls_id", "time_valid")
    for event in body.get("events", []):
        shared = {name: event.get(name) for name in names}
        for value in event.get("values") or [{}]:
            own = {name: value.get(name) for name in ("obis", "raw", "scaler")}
            rows.append({"row": EVENT, **shared, **own})
    return [{name: row.get(name) for name in COLUMNS} for row in rows]


def _add_reading(series: dict[tuple, dict[str, Any]], row: dict[str, Any], place: str) -> None:
    scaler = _number(row, "scaler", place) or 0
    key = (row.get("meter_id"), row.get("obis"), scaler)
    entry: dict[str, Any] = {"raw": _number(row, "raw", place)}
    for name in ("t", "captured"):
        if row.get(name):
            parse_ms(row[name], f"{place}, {name}")
            entry[name] = row[name]
    if (ptb := _number(row, "ptb", place)) is not None:
        entry["ptb"] = ptb
    head = {"meter_id": key[0] or None, "obis": key[1], "scaler": scaler, "unit": "Wh"}
    series.setdefault(key, {**head, "readings": []})["readings"].append(entry)


def _add_event(events: dict[tuple, dict[str, Any]], row: dict[str, Any], place: str) -> None:
    parse_ms(row.get("t"), f"{place}, t")
    key = tuple(row.get(name) for name in ("seq", "kind", "uuid", "t"))
    event = events.setdefault(
        key,
        {
            "seq": _number(row, "seq", place),
            "kind": row.get("kind"),
            "uuid": row.get("uuid") or None,
            "t": row["t"],
            "meter_id": row.get("meter_id") or None,
            "cls_id": row.get("cls_id") or None,
            "ptb": _number(row, "ptb", place) or 0,
            "time_valid": _truth(row.get("time_valid"), place),
            "values": [],
        },
    )
    if row.get("obis"):
        value = {"obis": row["obis"], "raw": _number(row, "raw", place)}
        value["scaler"] = _number(row, "scaler", place) or 0
        event["values"].append(value)


def _number(row: dict[str, Any], name: str, place: str) -> int | None:
    text = (row.get(name) or "").strip()
    if not text:
        return None
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise BadInput(f"{place}, {name}: {text!r} is no whole number; scale it with `scaler`")
    return int(text)


def _truth(text: str | None, place: str) -> bool:
    word = (text or "true").strip().lower()
    if word not in ("true", "false", "1", "0"):
        raise BadInput(f"{place}, time_valid: {text!r} is neither true nor false")
    return word in ("true", "1")


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return ";" if first.count(";") > first.count(",") else ","
