"""Device records as the host sees them: opened, verified and chained with other people's tools.

Independent of the device's code on purpose: cbor2 decodes, `hmac` checks the seal.
Source of the form: design of the record (docs/wire.cddl), RFC 9052 (COSE_Mac0), RFC 8949.
"""

import hashlib
import hmac
import uuid as uuid_module
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cbor2

from clsbench.device.signed import unwrap
from clsbench.errors import ClsbenchError

EVENTS = {
    1: "begin",
    2: "end",
    3: "change",
    4: "refused",
    5: "failsafe",
    6: "tamper",
    7: "power-fail",
    8: "boot",
    9: "meter-fault",
    10: "update",
}
ENDS = ("end", "failsafe", "tamper", "power-fail")
NO_VALUES, STEPPED = 1, 2  # bits of the status
TIME_STATES = {0: "unset", 1: "synchronised", 2: "holdover"}
_HMAC_256 = 5
_MAC0_TAG = 17
_KINDS = {1: int, 2: int, 3: bytes, 4: int, 5: str, 6: str, 7: str, 8: list, 9: int, 10: int}
_KINDS |= {11: list, 12: int, 13: bytes, 14: int, 15: int}


class SealBroken(ClsbenchError):
    """A record does not verify; the text names it and the reason."""


@dataclass(frozen=True)
class Value:
    """raw * 10**scaler in the DLMS unit."""

    obis: str
    raw: int
    scaler: int
    unit: int


@dataclass(frozen=True)
class DeviceRecord:
    """One verified record. Times are Unix milliseconds; None where the device had none.

    first_due_ms: a TAF7 record without values says that there is no reading for the quarter
    hours from this one to event_ms. cause: why, a number of dicamm.codes; 0 where none is given.
    """

    seq: int
    taf: int
    uuid: str | None
    event: str | None
    text: str
    cls_id: str
    meter_id: str
    values: tuple[Value, ...]
    captured_ms: int | None
    event_ms: int | None
    time_state: str
    bound_ms: int | None
    status: int
    previous: bytes
    sealed: bytes
    device_id: str
    first_due_ms: int | None = None
    cause: int = 0

    def value(self, obis: str) -> Value | None:
        """The value with this OBIS code, or None."""
        return next((value for value in self.values if value.obis == obis), None)

    def document(self) -> dict[str, Any]:
        """The record as JSON-able data, with the names of the wire format."""
        document = {
            "seq": self.seq,
            "taf": self.taf,
            "uuid": self.uuid,
            "event": self.event,
            "text": self.text,
            "device_id": self.device_id,
            "cls_id": self.cls_id,
            "meter_id": self.meter_id,
            "values": [value.__dict__ for value in self.values],
            "captured_ms": self.captured_ms,
            "due_ms" if self.taf == 7 else "event_ms": self.event_ms,
            "time_state": self.time_state,
            "bound_ms": self.bound_ms,
            "status": self.status,
            "previous": self.previous.hex(),
        }
        if self.first_due_ms is not None:
            document["first_due_ms"] = self.first_due_ms
        if self.cause:
            document["cause"] = self.cause
        return document


def open_record(sealed: bytes, key: bytes) -> DeviceRecord:
    """Checks the seal and returns what the record says.

    sealed: tagged COSE_Mac0, in deterministic encoding and with nothing behind it; key: the
    device's HMAC key. Raises SealBroken for anything that is not exactly such a record under
    this key. The key id is outside the seal (RFC 9052 section 6.3): `device_id` is what the
    record is labelled with, `cls_id` is sealed.
    """
    protected, kid, payload, mac = _parts(unwrap(sealed))
    structure = cbor2.dumps(["MAC0", protected, b"", payload])
    if not hmac.compare_digest(hmac.digest(key, structure, "sha256"), mac):
        label = kid.decode(errors="replace")
        raise SealBroken(f"seal of a record of {label!r} does not fit: altered, or another key")
    return _record(sealed, kid, payload)


def read_unchecked(sealed: bytes) -> DeviceRecord:
    """What a record claims; its seal is not looked at. Raises SealBroken when it is no record."""
    _protected, kid, payload, _mac = _parts(unwrap(sealed))
    return _record(sealed, kid, payload)


def link_of(sealed: bytes) -> bytes:
    """What the next record states as `previous`; a signature around a record does not count."""
    return hashlib.sha256(unwrap(sealed)).digest()[:8]


def obis_text(obis: bytes) -> str:
    """`1-0:1.8.0*255` for six bytes."""
    a, b, c, d, e, f = obis
    return f"{a}-{b}:{c}.{d}.{e}*{f}"


@dataclass(frozen=True)
class ChainFinding:
    """kind: number (two records under one), gap, link or time; seq: of the record at fault."""

    kind: str
    seq: int
    text: str


def check_chain(records: Iterable[DeviceRecord]) -> list[str]:
    """Findings about sequence, links and time order; empty when all is well.

    records: of one device, in any order. A first record with a number above 1 is taken as the
    start of what was handed in; what is missing behind the last one cannot be seen.
    """
    return [finding.text for finding in chain_findings(records)]


def chain_findings(records: Iterable[DeviceRecord]) -> list[ChainFinding]:
    """As `check_chain`, each finding with its kind and the number of the record at fault."""
    by_seq: dict[int, list[DeviceRecord]] = {}
    for record in records:
        same = by_seq.setdefault(record.seq, [])
        if all(record.sealed != other.sealed for other in same):
            same.append(record)
    findings: list[ChainFinding] = []
    before: list[DeviceRecord] = []
    for seq in sorted(by_seq):
        if len(by_seq[seq]) > 1:
            place = f"record {seq} of {by_seq[seq][0].cls_id}"
            text = f"{place}: two different records bear this number"
            findings.append(ChainFinding("number", seq, text))
        for record in by_seq[seq]:
            findings += [
                ChainFinding(kind, seq, f"record {seq} of {record.cls_id}: {text}")
                for kind, text in _against(record, before)
            ]
        before = by_seq[seq]
    return findings


def _against(record: DeviceRecord, before: list[DeviceRecord]) -> list[tuple[str, str]]:
    """Findings about one record and those that bear the number before it in the set."""
    if record.seq == 1:
        linked = record.previous != bytes(8)
        return [("link", "links to something before it")] if linked else []
    if not before:
        return []
    findings = []
    last = before[0].seq
    if record.seq == last + 2:
        findings.append(("gap", f"record {last + 1} is missing before it"))
    elif record.seq > last + 2:
        text = f"records {last + 1} to {record.seq - 1} are missing before it"
        findings.append(("gap", text))
    elif all(record.previous != link_of(other.sealed) for other in before):
        findings.append(("link", f"does not link to record {last}"))
    if all(_earlier(record, other) for other in before):
        findings.append(("time", f"captured before record {last}"))
    return findings


def _earlier(record: DeviceRecord, before: DeviceRecord) -> bool:
    """True when even the stated bounds of both clocks do not explain the order of times, and the
    device does not say that its clock was set in between."""
    if record.captured_ms is None or before.captured_ms is None or record.status & STEPPED:
        return False
    slack_ms = (record.bound_ms or 0) + (before.bound_ms or 0)
    return record.captured_ms + slack_ms < before.captured_ms


def _parts(sealed: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Protected header, key id, payload and tag of a COSE_Mac0 in exactly our form."""
    try:
        tag = cbor2.loads(sealed)
        protected, unprotected, payload, mac = tag.value
        kid = unprotected[4]
        algorithm = cbor2.loads(protected)
    except (
        cbor2.CBORError,
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise SealBroken(f"not a COSE_Mac0 message: {error}") from error
    parts = (protected, kid, payload, mac)
    if tag.tag != _MAC0_TAG or algorithm != {1: _HMAC_256} or set(unprotected) != {4}:
        raise SealBroken("not a COSE_Mac0 message with HMAC 256/256")
    if not all(isinstance(part, bytes) for part in parts):
        raise SealBroken("not a COSE_Mac0 message: a part is no byte string")
    form = [protected, {4: kid}, payload, mac]
    if cbor2.dumps(cbor2.CBORTag(_MAC0_TAG, form), canonical=True) != sealed:
        raise SealBroken("not in deterministic encoding, or followed by further bytes")
    return parts


def _record(sealed: bytes, kid: bytes, payload: bytes) -> DeviceRecord:
    try:
        fields = cbor2.loads(payload)
        for key, kind in _KINDS.items():
            if key in fields and type(fields[key]) is not kind:
                raise ValueError(f"field {key} is no {kind.__name__}")
        return _from_fields(fields, sealed, kid.decode("ascii"))
    except (cbor2.CBORError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SealBroken(f"sealed content is no record: {error!r}") from error


def _from_fields(fields: dict[int, Any], sealed: bytes, device_id: str) -> DeviceRecord:
    uuid = fields.get(3)
    event = fields.get(4)
    state, bound_ms = fields[11]
    return DeviceRecord(
        seq=fields[1],
        taf=fields[2],
        uuid=str(uuid_module.UUID(bytes=uuid)) if uuid is not None else None,
        event=EVENTS[event] if event is not None else None,
        text=fields.get(5, ""),
        cls_id=fields[6],
        meter_id=fields[7],
        values=tuple(Value(obis_text(o), raw, scaler, unit) for o, raw, scaler, unit in fields[8]),
        captured_ms=fields.get(9),
        event_ms=fields.get(10),
        time_state=TIME_STATES[state],
        bound_ms=bound_ms,
        status=fields[12],
        previous=fields[13],
        sealed=sealed,
        device_id=device_id,
        first_due_ms=fields.get(14),
        cause=fields.get(15, 0),
    )
