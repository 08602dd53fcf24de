"""Sealed device records in series: opened with the keys given, then laid side by side.

A record's label of its device (the key id) is outside the seal, so a series is what one key
opens, and its name is the CLS-ID that is sealed inside. Pure.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.device.findings import (
    ALTERED,
    FORK,
    GAP,
    LABEL,
    LINK,
    NAME,
    ORDER,
    OTHER_DEVICE,
    REGISTER,
    REPEAT,
    SIGNATURE,
    TIME,
    UNREADABLE,
    WRONG_KEY,
    Fault,
    Finding,
    Place,
    Series,
    Verdict,
)
from clsbench.device.records import (
    ENDS,
    STEPPED,
    DeviceRecord,
    SealBroken,
    chain_findings,
    open_record,
    read_unchecked,
)
from clsbench.device.signed import SignatureBroken, check_signature, is_signed
from clsbench.device.verify_course import Step, course_findings

_FILE_NAME = re.compile(r"(\d{6,})-taf(\d+)\.cbor$")
_IMPORT = "1-0:1.8.0*255"
_STATED = "which its name denies"
_CHAIN_KINDS = {"number": FORK, "gap": GAP, "link": LINK, "time": TIME}


class DeviceSeries:
    """Device records by the key that opens them. signers: public keys; where there are any, each
    record must bear a signature of one of them."""

    def __init__(self, keys: Sequence[bytes], signers: Sequence[ec.EllipticCurvePublicKey] = ()):
        self._keys = keys
        self._signers = signers
        self._by_key: dict[int, list[tuple[Place, DeviceRecord]]] = {}

    def take(
        self, place: Place, data: bytes, stated: tuple[str | None, int] | None, alone: bool
    ) -> str:
        """Opens one record and keeps it for the series; says what it is. Raises Fault."""
        index, record = self._open(data)
        self._by_key.setdefault(index, []).append((place, record))
        named = _FILE_NAME.search(place.file) if alone else None
        if named and (int(named[1]), int(named[2])) != (record.seq, record.taf):
            raise _fault(NAME, f"holds record {record.seq}, TAF{record.taf}, {_STATED}", record)
        if stated is not None and stated != (record.cls_id, record.seq):
            kind = OTHER_DEVICE if stated[0] != record.cls_id else NAME
            raise _fault(
                kind,
                f"row of record {stated[1]} of {stated[0]} holds record {record.seq} of "
                f"{record.cls_id}",
                record,
            )
        return describe(record) + self._signature(data, record)

    def judged(self, finding: Finding) -> Finding:
        """Once all is read: a record that no key opens was altered where others with its label
        open."""
        opened = any(
            record.device_id == finding.owner
            for pairs in self._by_key.values()
            for _place, record in pairs
        )
        altered = finding.kind == WRONG_KEY and opened
        return replace(finding, kind=ALTERED) if altered else finding

    def conclude(self, verdict: Verdict, running: bool) -> None:
        """Adds series and what they tell to `verdict`."""
        for index in sorted(self._by_key):
            pairs = self._by_key[index]
            name = Counter(record.cls_id for _place, record in pairs).most_common(1)[0][0]
            own = [pair for pair in pairs if pair[1].cls_id == name]
            found = _strangers(pairs, name) + _of_chain(own, name) + _repeats(own, name)
            found += _labels(own) + _out_of_order(own) + _falls(own)
            found += course_findings([_step(place, record) for place, record in own], running)
            verdict.found += found
            seqs = sorted({record.seq for _place, record in own})
            verdict.series.append(Series("device", name, seqs[0], seqs[-1], len(seqs), not found))

    def _signature(self, data: bytes, record: DeviceRecord) -> str:
        """What is to be said of the record's signature. Raises Fault."""
        if not self._signers:
            return ", signature not checked" if is_signed(data) else ""
        reason = ""
        for signer in self._signers:
            try:
                check_signature(data, signer)
            except SignatureBroken as error:
                reason = str(error)
            else:
                return ", signed"
        raise _fault(SIGNATURE, f"record {record.seq}: {reason}", record)

    def _open(self, data: bytes) -> tuple[int, DeviceRecord]:
        reason = "no key was given"
        for index, key in enumerate(self._keys):
            try:
                return index, open_record(data, key)
            except SealBroken as error:
                reason = str(error)
        try:
            claimed = read_unchecked(data)
        except SealBroken:
            raise Fault(UNREADABLE, reason) from None
        text = f"{reason}; it claims to be record {claimed.seq}, TAF{claimed.taf}"
        raise _fault(WRONG_KEY, text, claimed)


def describe(record: DeviceRecord) -> str:
    """A device record in half a line; all of it is sealed."""
    what = f"TAF{record.taf}" + (f" {record.event} {record.uuid}" if record.event else "")
    return f"record {record.seq} of CLS {record.cls_id}: {what}"


def _fault(kind: str, text: str, record: DeviceRecord) -> Fault:
    return Fault(kind, text, record.device_id, record.seq)


def _finding(kind: str, text: str, place: Place, record: DeviceRecord) -> Finding:
    return Finding(kind, f"{text} ({place})", place, record.cls_id, record.seq)


def _strangers(pairs: list[tuple[Place, DeviceRecord]], name: str) -> list[Finding]:
    return [
        _finding(
            OTHER_DEVICE,
            f"record {record.seq} of {record.cls_id}: among those of {name}, under the same key",
            place,
            record,
        )
        for place, record in pairs
        if record.cls_id != name
    ]


def _of_chain(pairs: list[tuple[Place, DeviceRecord]], name: str) -> list[Finding]:
    places: dict[int, list[Place]] = {}
    for place, record in pairs:
        places.setdefault(record.seq, []).append(place)
    return [
        Finding(
            _CHAIN_KINDS[one.kind],
            f"{one.text} ({', '.join(map(str, places[one.seq]))})",
            places[one.seq][-1],
            name,
            one.seq,
        )
        for one in chain_findings(record for _place, record in pairs)
    ]


def _repeats(pairs: list[tuple[Place, DeviceRecord]], name: str) -> list[Finding]:
    places: dict[bytes, list[Place]] = {}
    for place, record in pairs:
        places.setdefault(record.sealed, []).append(place)
    return [
        Finding(
            REPEAT,
            f"record {record.seq} of {name}: is there {len(places[record.sealed])} times "
            f"({', '.join(map(str, places[record.sealed]))})",
            place,
            name,
            record.seq,
        )
        for place, record in pairs
        if len(places[record.sealed]) > 1 and place == places[record.sealed][-1]
    ]


def _labels(pairs: list[tuple[Place, DeviceRecord]]) -> list[Finding]:
    return [
        _finding(
            LABEL,
            f"record {record.seq}: labelled {record.device_id}, yet sealed with the key of "
            f"{record.cls_id} and for it; the label (key id) is outside the seal",
            place,
            record,
        )
        for place, record in sorted(pairs, key=lambda pair: pair[1].seq)
        if record.device_id != record.cls_id
    ]


def _out_of_order(pairs: list[tuple[Place, DeviceRecord]]) -> list[Finding]:
    """Records in one file stand in the order of their numbers."""
    found = []
    last: dict[str, int] = {}
    for place, record in pairs:
        if place.offset is None:
            continue
        before = last.get(place.file, 0)
        if record.seq < before:
            text = f"record {record.seq} of {record.cls_id}: stands behind record {before}"
            found.append(_finding(ORDER, text, place, record))
        last[place.file] = record.seq
    return found


def _falls(pairs: list[tuple[Place, DeviceRecord]]) -> list[Finding]:
    """The register of one meter never falls."""
    found = []
    highest: dict[str, DeviceRecord] = {}
    for place, record in sorted(pairs, key=lambda pair: pair[1].seq):
        value = record.value(_IMPORT)
        if value is None:
            continue
        before = highest.get(record.meter_id)
        known = before.value(_IMPORT) if before is not None else None
        if before is not None and known is not None and _less(value, known):
            text = (
                f"record {record.seq} of {record.cls_id}: register of {record.meter_id} fell "
                f"since record {before.seq}"
            )
            found.append(_finding(REGISTER, text, place, record))
        highest[record.meter_id] = record
    return found


def _less(value, other) -> bool:
    low = min(value.scaler, other.scaler)
    return value.raw * 10 ** (value.scaler - low) < other.raw * 10 ** (other.scaler - low)


def _step(place: Place, record: DeviceRecord) -> Step:
    event = record.event if record.taf == 16 else None
    kind = "begin" if event == "begin" else "end" if event in ENDS else None
    return Step(
        place=place,
        owner=record.cls_id,
        seq=record.seq,
        uuid=record.uuid,
        kind=kind,
        event=event,
        due_ms=record.event_ms if record.taf == 7 and record.values else None,
        stepped=bool(record.status & STEPPED),
    )
