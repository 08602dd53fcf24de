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
}
ENDS = ("end", "failsafe", "tamper", "power-fail")
TIME_STATES = {0: "unset", 1: "synchronised", 2: "holdover"}
_HMAC_256 = 5
_MAC0_TAG = 17


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
    """One verified record. Times are Unix milliseconds; None where the device had none."""

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

    def value(self, obis: str) -> Value | None:
        """The value with this OBIS code, or None."""
        return next((value for value in self.values if value.obis == obis), None)

    def document(self) -> dict[str, Any]:
        """The record as JSON-able data, with the names of the wire format."""
        return {
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


def open_record(sealed: bytes, key: bytes) -> DeviceRecord:
    """Checks the seal and returns what the record says.

    sealed: tagged COSE_Mac0; key: the device's HMAC key. Raises SealBroken for anything that
    is not exactly such a record under this key.
    """
    try:
        tag = cbor2.loads(sealed)
        protected, unprotected, payload, mac = tag.value
        algorithm = cbor2.loads(protected)
        kid = unprotected[4]
    except (cbor2.CBORDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise SealBroken(f"not a COSE_Mac0 message: {error}") from error
    if tag.tag != _MAC0_TAG or algorithm != {1: _HMAC_256} or set(unprotected) != {4}:
        raise SealBroken("not a COSE_Mac0 message with HMAC 256/256")
    structure = cbor2.dumps(["MAC0", protected, b"", payload])
    if not hmac.compare_digest(hmac.digest(key, structure, "sha256"), mac):
        raise SealBroken(f"seal of a record of {kid!r} does not fit: altered, or another key")
    try:
        return _from_fields(cbor2.loads(payload), sealed, kid.decode())
    except (cbor2.CBORDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SealBroken(f"sealed content is no record: {error!r}") from error


def link_of(sealed: bytes) -> bytes:
    """What the next record states as `previous`."""
    return hashlib.sha256(sealed).digest()[:8]


def obis_text(obis: bytes) -> str:
    """`1-0:1.8.0*255` for six bytes."""
    a, b, c, d, e, f = obis
    return f"{a}-{b}:{c}.{d}.{e}*{f}"


def check_chain(records: Iterable[DeviceRecord]) -> list[str]:
    """Findings about sequence, links and time order; empty when all is well.

    records: of one device, in any order. A first record with a number above 1 is taken as the
    start of what was handed in.
    """
    findings = []
    ordered = sorted(records, key=lambda record: record.seq)
    for before, after in zip(ordered, ordered[1:], strict=False):
        place = f"record {after.seq} of {after.device_id}"
        if after.seq == before.seq:
            if after.sealed != before.sealed:
                findings.append(f"{place}: two different records bear this number")
        elif after.seq != before.seq + 1:
            findings.append(f"{place}: records {before.seq + 1} to {after.seq - 1} are missing")
        elif after.previous != link_of(before.sealed):
            findings.append(f"{place}: does not link to record {before.seq}")
        if (
            before.captured_ms is not None
            and after.captured_ms is not None
            and after.captured_ms + (after.bound_ms or 0) < before.captured_ms
        ):
            findings.append(f"{place}: captured before record {before.seq}")
    if ordered and ordered[0].seq == 1 and ordered[0].previous != bytes(8):
        findings.append(f"record 1 of {ordered[0].device_id}: links to something before it")
    return findings


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
    )
