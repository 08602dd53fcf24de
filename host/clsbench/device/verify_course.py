"""The course that a series of records tells: transactions that begin and end once, quarter hours
that come once and in order. The same rules for device and gateway. Pure.
"""

from dataclasses import dataclass

from clsbench.clock import iso
from clsbench.device.findings import (
    EVENT_TWICE,
    NO_BEGIN,
    NO_END,
    SLOT_ORDER,
    SLOT_TWICE,
    Finding,
    Place,
)

QUARTER_MS = 900_000
_ALONE = ("failsafe", "tamper", "power-fail")  # also told of while no transaction is open


@dataclass(frozen=True)
class Step:
    """What a record says of the course. kind: begin, end or None; due_ms: of a TAF7 reading;
    stepped: the clock was set anew before it, so that quarter hours may come again."""

    place: Place
    owner: str
    seq: int
    uuid: str | None
    kind: str | None
    event: str | None
    due_ms: int | None
    stepped: bool = False

    def finding(self, kind: str, text: str) -> Finding:
        """A finding about this record."""
        whole = f"record {self.seq} of {self.owner}: {text} ({self.place})"
        return Finding(kind, whole, self.place, self.owner, self.seq)


def course_findings(steps: list[Step], running: bool) -> list[Finding]:
    """Findings about one series, in any order; repeats and forks are told elsewhere.

    running: a transaction without an end at the end of the series may be running still. An end
    or a begin that may have stood in a gap is not missed.
    """
    ordered = _once(steps)
    return _transactions(ordered, running) + _slots(ordered)


def _once(steps: list[Step]) -> list[Step]:
    by_seq: dict[int, Step] = {}
    for step in steps:
        by_seq.setdefault(step.seq, step)
    return [by_seq[seq] for seq in sorted(by_seq)]


def _transactions(steps: list[Step], running: bool) -> list[Finding]:
    found: list[Finding] = []
    begun: dict[str, Step] = {}
    ended: dict[str, Step] = {}
    unseen = {0}  # numbers behind which something is missing
    expected = 1
    for step in steps:
        if step.seq != expected:
            unseen.add(step.seq)
        expected = step.seq + 1
        if step.uuid is None or step.kind is None:
            continue
        known = begun if step.kind == "begin" else ended
        if step.uuid in known:
            earlier = known[step.uuid].seq
            text = f"second {step.kind} of transaction {step.uuid}, first is record {earlier}"
            found.append(step.finding(EVENT_TWICE, text))
            continue
        known[step.uuid] = step
        lonely = step.kind == "end" and step.uuid not in begun and step.event not in _ALONE
        if lonely and max(unseen) == 0:
            found.append(step.finding(NO_BEGIN, f"ends transaction {step.uuid}, never begun"))
    last_gap = max(unseen)
    openings = [step for uuid, step in begun.items() if uuid not in ended]
    for step in openings:
        later = [other.seq for other in begun.values() if other.seq > step.seq]
        if last_gap > step.seq or (running and not later):
            continue
        hint = "" if later else "; if it is running still: --running"
        found.append(step.finding(NO_END, f"transaction {step.uuid} has no end{hint}"))
    return found


def _slots(steps: list[Step]) -> list[Finding]:
    found: list[Finding] = []
    first: dict[int, Step] = {}
    latest = None
    for step in steps:
        due_ms = step.due_ms
        if step.stepped:
            first, latest = {}, None
        if due_ms is None:
            continue
        if due_ms in first:
            text = f"second TAF7 reading for {iso(due_ms)}, first is record {first[due_ms].seq}"
            found.append(step.finding(SLOT_TWICE, text))
            continue
        first[due_ms] = step
        if due_ms % QUARTER_MS:
            found.append(step.finding(SLOT_ORDER, f"{iso(due_ms)} begins no quarter hour"))
        elif latest is not None and due_ms < latest:
            text = f"TAF7 reading for {iso(due_ms)} stands behind one for {iso(latest)}"
            found.append(step.finding(SLOT_ORDER, text))
        else:
            latest = due_ms
    return found
