"""Signed gateway records in series, one per SMGW and profile. Pure; the signature check comes
from outside."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clsbench.device.findings import (
    ALTERED,
    FORK,
    GAP,
    NAME,
    REPEAT,
    SIGNER,
    TIME,
    UNREADABLE,
    Fault,
    Finding,
    Place,
    Series,
    Verdict,
)
from clsbench.device.records import ENDS
from clsbench.device.verify_course import Step, course_findings
from clsbench.errors import BadInput, ClsbenchError
from clsbench.smgw.core.cms import Untrusted
from clsbench.smgw.core.records import read_content

VerifyCms = Callable[[bytes], tuple[bytes, str]]  # DER -> content, id of the signing SMGW

_FILE_NAME = re.compile(r"(.+)-(\d{6,})\.cms\.der$")


@dataclass(frozen=True)
class _Held:
    place: Place
    seq: int
    content: bytes
    record: dict[str, Any]


class GatewaySeries:
    """Gateway records by SMGW and profile."""

    def __init__(self, verify_cms: VerifyCms):
        self._verify = verify_cms
        self._by_profile: dict[tuple[str, str], list[_Held]] = {}

    def take(
        self,
        place: Place,
        data: bytes,
        stated: tuple[str | None, int] | None,
        column: bytes | None,
    ) -> str:
        """Checks one record and keeps it for its series; says what it is. Raises Fault."""
        content, signer = self._checked(data)
        try:
            record = read_content(content)
        except BadInput as error:
            raise Fault(UNREADABLE, str(error)) from error
        smgw_id, profile_id, seq = record["smgw_id"], record["profile_id"], record["seq"]
        owner = f"{smgw_id} {profile_id}"
        if smgw_id != signer:
            raise Fault(SIGNER, f"is of {smgw_id}, but was signed by {signer}", owner, seq)
        self._by_profile.setdefault((smgw_id, profile_id), []).append(
            _Held(place, seq, content, record)
        )
        named = _FILE_NAME.search(place.file.rsplit("/", 1)[-1])
        claim = stated or ((named[1], int(named[2])) if named else None)
        if claim is not None and claim != (profile_id, seq):
            text = f"holds record {seq} of profile {profile_id}, which its name denies"
            raise Fault(NAME, text, owner, seq)
        if column is not None and column != content:
            text = f"record {seq} of profile {profile_id}: content beside it is not the signed one"
            raise Fault(ALTERED, text, owner, seq)
        return f"record {seq} of {smgw_id}, profile {profile_id}: {_event_of(record)}"

    def conclude(self, verdict: Verdict, running: bool) -> None:
        """Adds series and what they tell to `verdict`."""
        for (smgw_id, profile_id), held in sorted(self._by_profile.items()):
            owner = f"{smgw_id}, profile {profile_id}"
            found = _doubles(held, owner) + _gaps(held, owner) + _times(held, owner)
            found += course_findings([_step(one, owner) for one in held], running)
            verdict.found += found
            seqs = sorted({one.seq for one in held})
            name = f"{smgw_id} {profile_id}"
            verdict.series.append(Series("gateway", name, seqs[0], seqs[-1], len(seqs), not found))

    def _checked(self, data: bytes) -> tuple[bytes, str]:
        try:
            return self._verify(data)
        except Untrusted as error:
            raise Fault(SIGNER, str(error)) from error
        except ClsbenchError as error:
            raise Fault(ALTERED, str(error)) from error


def _finding(kind: str, one: _Held, owner: str, text: str, places: str = "") -> Finding:
    whole = f"record {one.seq} of {owner}: {text} ({places or one.place})"
    return Finding(kind, whole, one.place, owner, one.seq)


def _doubles(held: list[_Held], owner: str) -> list[Finding]:
    """Numbers that stand more than once, with the same content or with another."""
    found = []
    for seq in sorted({one.seq for one in held}):
        same = [one for one in held if one.seq == seq]
        places = ", ".join(str(one.place) for one in same)
        contents = {one.content for one in same}
        if len(contents) < len(same):
            found.append(_finding(REPEAT, same[-1], owner, f"is there {len(same)} times", places))
        if len(contents) > 1:
            text = "two different records bear this number"
            found.append(_finding(FORK, same[-1], owner, text, places))
    return found


def _gaps(held: list[_Held], owner: str) -> list[Finding]:
    first = {one.seq: one for one in reversed(held)}
    seqs = sorted(first)
    return [
        _finding(GAP, first[seq], owner, f"{_span(before + 1, seq - 1)} missing before it")
        for before, seq in zip(seqs, seqs[1:], strict=False)
        if seq != before + 1
    ]


def _times(held: list[_Held], owner: str) -> list[Finding]:
    """A gateway has one clock: capture times rise with the numbers."""
    found = []
    before: _Held | None = None
    for one in sorted(held, key=lambda each: each.seq):
        captured_ms = one.record.get("captured_ms")
        if not isinstance(captured_ms, int):
            continue
        if before is not None and captured_ms < before.record["captured_ms"]:
            found.append(_finding(TIME, one, owner, f"captured before record {before.seq}"))
        before = one
    return found


def _step(one: _Held, owner: str) -> Step:
    record = one.record
    event = record.get("event") if record["type"] == "taf16" else None
    kind = "begin" if event == "begin" else "end" if event in ENDS else None
    due_ms = record.get("due_ms") if record["type"] == "taf7" else None
    return Step(
        place=one.place,
        owner=owner,
        seq=one.seq,
        uuid=record.get("uuid"),
        kind=kind,
        event=event,
        due_ms=due_ms if isinstance(due_ms, int) else None,
    )


def _span(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _event_of(record: dict[str, Any]) -> str:
    if record["type"] == "taf16":
        return f"TAF16 {record.get('event')} {record.get('uuid')}"
    return record["type"].upper()
