"""Where a number comes from: its readings, the records they stand in, statuses and rules."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from clsbench.errors import BadInput
from clsbench.settlement.boundaries import Point
from clsbench.settlement.cuts import Cut
from clsbench.settlement.model import Event, Reading
from clsbench.settlement.sections import Book, Settled
from clsbench.settlement.substitute import Boundary
from clsbench.settlement.timeline import REST, UNKNOWN
from clsbench.settlement.times import QUARTER_MS, format_ms, local_date, parse_ms


def explain_number(settled: Settled, what: str, sources: dict[str, Any]) -> dict[str, Any]:
    """The explanation of a transaction (its UUID), a quarter hour (its begin), or of sums of them.

    Sums are a local day (2026-05-04), a group (its name), and `all`.

    sources: "places", from the place of an input entry to the key of its record; may be empty.
    Raises BadInput when there is no such thing.
    """
    if what in settled.history.transactions:
        told = _transaction(settled, what)
    else:
        told = _slots(settled, *_indices(settled, what))
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


def _indices(settled: Settled, what: str) -> tuple[str, list[int]]:
    """Title and quarter hours of what is asked for."""
    slots = settled.books[0].slots if settled.books else []
    groups = settled.point.groups
    if what == "all":
        return "The whole window", list(range(len(slots)))
    if any(local_date(slot.start_ms) == what for slot in slots):
        days = [i for i, slot in enumerate(slots) if local_date(slot.start_ms) == what]
        return f"Day {what}, Europe/Berlin", days
    if what in (groups.rest, groups.delta, *groups.by_uuid.values()):
        found = [
            index
            for index in range(len(slots))
            if any(what in book.slots[index].groups() for book in settled.books)
        ]
        return f"Group {what}: quarter hours in which it has energy", found
    try:
        start_ms = parse_ms(what, "SLOT")
    except BadInput as error:
        raise BadInput(
            f"{what}: neither a transaction, a group or a day of this input, nor the begin of a "
            "quarter hour"
        ) from error
    inside = settled.point.from_ms <= start_ms < settled.point.to_ms
    if not inside or start_ms % QUARTER_MS:
        raise BadInput(f"{format_ms(start_ms)}: no quarter hour of this window begins there")
    return (
        f"Quarter hour from {format_ms(start_ms)}",
        [(start_ms - settled.point.from_ms) // QUARTER_MS],
    )


def _slots(settled: Settled, title: str, indices: list[int]) -> dict[str, Any]:
    sums: list[str] = []
    found: dict[tuple[str, str], dict[str, Any]] = {}
    rules = {"R2 the sections add up to the difference of the boundaries"}
    for book in settled.books:
        sums += _sums(book, indices) if len(indices) > 1 else []
        for index in indices:
            sums += _sections(book, index)
            for each in _readings(settled, book, index, rules):
                found.setdefault((each["what"], each["place"]), each)
    starts = [settled.point.from_ms + index * QUARTER_MS for index in indices]
    ends = {each + step for each in starts for step in (0, QUARTER_MS)}
    return {
        "title": title,
        "uuid": None,
        "start": format_ms(starts[0]) if starts else None,
        "ends": [format_ms(each) for each in sorted(ends)],
        "sums": sums,
        "readings": list(found.values()),
        "rules": sorted(rules),
    }


def _sums(book: Book, indices: list[int]) -> list[str]:
    slots = [book.slots[index] for index in indices]
    groups: dict[str, int] = {}
    for slot in slots:
        for group, energy in slot.groups().items():
            groups[group] = groups.get(group, 0) + energy
    missing = sum(slot.total is None for slot in slots)
    total = sum(slot.total or 0 for slot in slots)
    return [
        f"{book.direction}: {len(slots)} quarter hours, {missing} missing, total {total}",
        *(f"  {group}: {energy}" for group, energy in sorted(groups.items())),
    ]


def _sections(book: Book, index: int) -> list[str]:
    slot = book.slots[index]
    head = f"{book.direction} {format_ms(slot.start_ms)}: {slot.state}, {slot.quality}"
    lines = [f"{head}, total {slot.total}"]
    for section in book.sections[index]:
        who = {REST: "rest", UNKNOWN: "doubtful, to delta (R6, R8)"}
        lines.append(
            f"  {format_ms(section.from_ms)} to {format_ms(section.to_ms)}: "
            f"{section.to_value} - {section.from_value} = {section.energy}, "
            f"{who.get(section.state, section.state)}"
        )
    return lines


def _readings(
    settled: Settled, book: Book, index: int, rules: set[str]
) -> Iterator[dict[str, Any]]:
    """Boundaries, cuts, and the records of whatever transaction was open."""
    for boundary in book.boundaries[index : index + 2]:
        yield from _boundary(boundary, book, rules)
    edges = {at for each in book.sections[index] for at in (each.from_ms, each.to_ms)}
    first = bisect_left(book.cuts.cuts, min(edges, default=0), key=lambda cut: cut.at_ms)
    for cut in book.cuts.cuts[first:]:
        if cut.at_ms > max(edges, default=0):
            break
        if cut.at_ms in edges:
            rules.add("R5 an event cuts where its reading was taken")
            yield from _event(cut.event, book.direction)
    for state in {each.state for each in book.sections[index]} - {REST, UNKNOWN}:
        one = settled.history.transactions[state]
        for event in (one.begin, one.end):
            if event is not None:
                yield from _event(event, book.direction)


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
