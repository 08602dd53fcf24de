"""Numbers of records for the second calculator: what is missing, and between which instants."""

from datetime import datetime


def gaps_of(body: dict, events: list[dict], first: datetime) -> list:
    """Stretches across which numbers are missing; `first` stands for before all records."""
    number, at = body.get("last_number_before"), first
    places: dict[int, datetime] = {}
    for index, one in enumerate(events):
        valid = [e["at"] for e in events[:index] if e.get("time_valid", True)]
        later = [e["at"] for e in events[index:] if e.get("time_valid", True)]
        stands = one["at"] if one.get("time_valid", True) else (valid or later or [one["at"]])
        places[one["seq"]] = (
            stands if isinstance(stands, datetime) else (valid[-1] if valid else stands[0])
        )
    gaps = []
    for seq in sorted(places):
        if number is not None and seq > number + 1:
            gaps.append((min(at, places[seq]), max(at, places[seq])))
        number, at = seq, places[seq]
    return gaps


def at_gap(number: int, body: dict) -> bool:
    """Whether the number before or behind this record's is missing."""
    known = {one["seq"] for one in body["events"]}
    before = body.get("last_number_before")
    lower = [n for n in known if n < number] + ([] if before is None else [before])
    higher = [n for n in known if n > number]
    return bool((lower and max(lower) < number - 1) or (higher and min(higher) > number + 1))
