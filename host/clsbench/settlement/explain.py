"""Where a number comes from: its readings, the records they stand in, statuses and rules."""

from typing import Any

from clsbench.errors import BadInput
from clsbench.settlement.boundaries import Point
from clsbench.settlement.cuts import Cut
from clsbench.settlement.model import Event, Reading
from clsbench.settlement.sections import Book, Settled
from clsbench.settlement.substitute import Boundary
from clsbench.settlement.timeline import REST, UNKNOWN
from clsbench.settlement.times import QUARTER_MS, format_ms, parse_ms


def explain_number(settled: Settled, what: str, sources: dict[str, Any]) -> dict[str, Any]:
    """The explanation of a quarter hour (its begin) or of a transaction (its UUID).

    sources: "places", from the place of an input entry to the key of its record; may be empty.
    Raises BadInput when there is no such quarter hour or transaction.
    """
    one = settled.history.transactions.get(what)
    if one is not None:
        told = _transaction(settled, what)
    else:
        try:
            start_ms = parse_ms(what, "SLOT")
        except BadInput as error:
            raise BadInput(
                f"{what}: neither a transaction of this input nor the begin of a quarter hour"
            ) from error
        told = _slot(settled, start_ms)
    places: dict[str, str] = sources.get("places", {})
    for reading in told["readings"]:
        reading["record"] = places.get(reading["place"])
    told["records"] = sorted({r["record"] for r in told["readings"] if r["record"]})
    told["findings"] = [
        finding.document() for finding in settled.findings if _concerns(finding.document(), told)
    ]
    return told


def explain_text(told: dict[str, Any]) -> str:
    """An explanation in words."""
    lines = [told["title"]]
    lines += [f"  {line}" for line in told["sums"]]
    lines.append("Readings:")
    for each in told["readings"]:
        record = f", record {each['record']}" if each["record"] else ""
        lines.append(
            f"  {each['what']}: register {each['raw']} x 10^{each['scaler']} Wh at {each['at']}, "
            f"status {each['ptb']}, {each['place']}{record}"
        )
    lines.append("Rules: " + "; ".join(told["rules"]))
    for finding in told["findings"]:
        lines.append(f"Doubt {finding['code']}: {finding['text']}. {finding['remedy']}.")
    for path in told.get("files", []):
        lines.append(f"Written: {path}")
    return "\n".join(lines)


def _transaction(settled: Settled, uuid: str) -> dict[str, Any]:
    one = settled.history.transactions[uuid]
    scaler = settled.point.unit_scaler
    sums = []
    readings = []
    for book in settled.books:
        energy = settled.energy(one, book)
        cuts = [book.cuts.by_event.get(id(e)) if e else None for e in (one.begin, one.end)]
        if energy is not None and cuts[0] and cuts[1]:
            sums.append(
                f"{book.direction}: {cuts[1].value} - {cuts[0].value} = {energy} x 10^{scaler} Wh"
            )
        else:
            sums.append(f"{book.direction}: not known, state {settled.state(one)}")
        for event in (one.begin, one.end):
            if event is not None:
                readings += _event(event, book.direction)
    return {
        "title": f"Transaction {uuid}: {settled.state(one)}, {settled.point.groups.of(uuid)}",
        "uuid": uuid,
        "start": None,
        "ends": [],
        "sums": sums,
        "readings": readings,
        "rules": [
            "R5 energy is the difference of its two readings",
            "R8 status 0 and 1 are billable, legal time is a must",
        ],
    }


def _slot(settled: Settled, start_ms: int) -> dict[str, Any]:
    index = (start_ms - settled.point.from_ms) // QUARTER_MS
    inside = settled.point.from_ms <= start_ms < settled.point.to_ms
    if not inside or start_ms % QUARTER_MS:
        raise BadInput(f"{format_ms(start_ms)}: no quarter hour of this window begins there")
    sums: list[str] = []
    readings: list[dict[str, Any]] = []
    rules = {"R2 the sections add up to the difference of the boundaries"}
    for book in settled.books:
        slot = book.slots[index]
        sums.append(f"{book.direction}: {slot.state}, {slot.quality}, total {slot.total}")
        for section in book.sections[index]:
            who = {REST: "rest", UNKNOWN: "doubtful, to delta (R6, R8)"}.get(
                section.state, section.state
            )
            sums.append(
                f"  {format_ms(section.from_ms)} to {format_ms(section.to_ms)}: "
                f"{section.to_value} - {section.from_value} = {section.energy}, {who}"
            )
        for boundary in book.boundaries[index : index + 2]:
            readings += _boundary(boundary, book, rules)
        low, high = start_ms - 60_000, start_ms + QUARTER_MS + 60_000
        for cut in book.cuts.cuts:
            if (
                any(
                    cut.at_ms in (section.from_ms, section.to_ms)
                    for section in book.sections[index]
                )
                and low <= cut.at_ms <= high
            ):
                readings += _event(cut.event, book.direction)
                rules.add("R5 an event cuts where its reading was taken")
    return {
        "title": f"Quarter hour from {format_ms(start_ms)}",
        "uuid": None,
        "start": format_ms(start_ms),
        "ends": [format_ms(start_ms), format_ms(start_ms + QUARTER_MS)],
        "sums": sums,
        "readings": readings,
        "rules": sorted(rules),
    }


def _boundary(boundary: Boundary | None, book: Book, rules: set[str]) -> list[dict[str, Any]]:
    if boundary is None:
        rules.add("R11 a missing boundary leaves both quarter hours missing")
        return []
    if boundary.between is not None:
        rules.add("R11 the missing boundary lies on the line between two readings")
        return [
            entry
            for anchor in boundary.between
            for entry in _anchor(anchor, book.direction, "anchor of a substitute")
        ]
    return _anchor(boundary.point, book.direction, "boundary") if boundary.point else []


def _anchor(anchor: Point | Cut, direction: str, what: str) -> list[dict[str, Any]]:
    if isinstance(anchor, Cut):
        return _event(anchor.event, direction)
    return [] if anchor.reading is None else [_reading(anchor.reading, what)]


def _reading(reading: Reading, what: str) -> dict[str, Any]:
    at_ms = reading.captured_ms if reading.captured_ms is not None else reading.due_ms
    return {
        "what": f"{what} {reading.direction}",
        "raw": reading.raw,
        "scaler": reading.scaler,
        "at": format_ms(at_ms or 0),
        "ptb": reading.ptb,
        "place": reading.place,
    }


def _event(event: Event, direction: str) -> list[dict[str, Any]]:
    value = event.value(direction)
    return [
        {
            "what": f"{event.kind} {direction}",
            "raw": None if value is None else value[0],
            "scaler": None if value is None else value[1],
            "at": format_ms(event.t_ms),
            "ptb": event.ptb,
            "place": event.place,
        }
    ]


def _concerns(finding: dict[str, Any], told: dict[str, Any]) -> bool:
    if told["uuid"] is not None:
        return finding["uuid"] == told["uuid"]
    places = {reading["place"] for reading in told["readings"]}
    return finding["place"] in places or finding["at"] in told["ends"]
