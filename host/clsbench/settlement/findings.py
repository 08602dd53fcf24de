"""Doubts: the finding codes, the rule behind each, and what a person can do about it."""

from dataclasses import dataclass
from typing import Any

from clsbench.settlement.times import format_ms

# code: (rule, what it means, what to do)
CODES: dict[str, tuple[str, str, str]] = {
    "missing_end": (
        "R6",
        "a transaction was begun and no end is recorded",
        "fetch the missing end record, or leave its energy with the delta group",
    ),
    "missing_begin": (
        "R6",
        "a transaction was ended that no record begins",
        "fetch the begin record, or name the UUID in open_at_start if it began before the window",
    ),
    "sequence_gap": (
        "R6",
        "record numbers are missing, so nobody knows what was switched meanwhile",
        "fetch the missing records from the device or the gateway and settle anew",
    ),
    "overlap": (
        "R6",
        "two transactions were open at once on one meter",
        "check who switched; energy while both were open stands with the delta group",
    ),
    "duplicate_record": ("R7", "the same record came twice", "nothing: it was counted once"),
    "duplicate_begin": (
        "R7",
        "a transaction was begun a second time",
        "nothing: the first begin stands; check why the caller repeated it",
    ),
    "register_fall": (
        "R10",
        "the register fell or its chain broke, so no energy can be told",
        "state the meter change with its final and start reading, or have the meter examined",
    ),
    "event_implausible": (
        "R10",
        "an event's value does not fit between its neighbours",
        "compare the device's and the gateway's record of this event",
    ),
    "conflicting_readings": (
        "R10",
        "one instant has two different readings, of the grid or of an event",
        "find out which one is right and signed, and hand in only that one",
    ),
    "missing_boundary": (
        "R11",
        "a quarter hour's boundary has no usable reading",
        "hand in the late reading, or set policy substitute=linear",
    ),
    "boundary_unusable": (
        "R8",
        "a quarter-hour reading has a status that forbids its use",
        "look up the status; a substitute value is due",
    ),
    "off_grid_reading": (
        "R3",
        "a reading lies more than 9 s beside every quarter hour and states no due time on it",
        "nothing, unless its due time is known: then state it",
    ),
    "time_not_valid": (
        "R8",
        "an event was recorded without legal time",
        "restore the time of the device or gateway; the transaction cannot be billed",
    ),
    "event_unusable": (
        "R8",
        "an event has no usable value in this direction",
        "look up the event's status; take the other witness's record if it has a value",
    ),
    "over_claim": (
        "R15",
        "more energy is claimed than was measured",
        "have the claims corrected, or agree on policy over_claim=proportional",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One doubt. place: where in the input it stands; reading: the value in question, if any."""

    code: str
    at_ms: int | None = None
    uuid: str | None = None
    direction: str | None = None
    place: str = ""
    reading: int | None = None

    def document(self) -> dict[str, Any]:
        """For the result: code, at, uuid, direction; then place, reading, rule, text, remedy."""
        rule, text, remedy = CODES[self.code]
        return {
            "code": self.code,
            "at": None if self.at_ms is None else format_ms(self.at_ms),
            "uuid": self.uuid,
            "direction": self.direction,
            "place": self.place,
            "reading": self.reading,
            "rule": rule,
            "text": text,
            "remedy": remedy,
        }


def in_order(findings: list[Finding]) -> list[Finding]:
    """Each finding once, by instant, code, direction and UUID: input order leaves no trace."""
    seen = {_key(each)[:-1]: each for each in sorted(findings, key=_key, reverse=True)}
    return sorted(seen.values(), key=_key)


def _key(each: Finding) -> tuple:
    at_ms = -1 if each.at_ms is None else each.at_ms
    return (at_ms, each.code, each.direction or "", each.uuid or "", each.place)
