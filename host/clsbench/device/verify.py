"""Verdicts on a set of records: each by itself, then device chains and gateway sequences.

Pure: bytes in, verdicts out. Device records are sealed COSE_Mac0 (docs/wire.cddl), also within a
COSE_Sign1, alone or in a row as a CBOR sequence (RFC 8742); gateway records are CMS SignedData
around JSON. Keys and the signature check are handed in. What is missing behind the last record of
a series cannot be seen from the records alone.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.device.findings import (
    TRUNCATED,
    UNREADABLE,
    Fault,
    FileVerdict,
    Finding,
    Place,
    Verdict,
)
from clsbench.device.verify_device import DeviceSeries
from clsbench.device.verify_gateway import GatewaySeries, VerifyCms

DEVICE, GATEWAY, UNKNOWN = "device", "gateway", "unknown"
DEVICE_SUFFIX, GATEWAY_SUFFIX = ".cbor", ".cms.der"
MAX_BYTES = 64 * 1024 * 1024  # of a file; a full ring of a device is far below
MAX_SEALED = 1024  # of one device record
MAX_SIGNED = MAX_SEALED + 128  # in its signature

_KINDS = {0xD1: DEVICE, 0xD2: DEVICE, 0x30: GATEWAY}  # CBOR tags 17, 18; ASN.1 SEQUENCE
_SEALED_HEAD = bytes.fromhex("d18443a10105")  # every sealed record begins so
_SIGNED_HEAD = bytes.fromhex("d28443a10126")  # or so, in a signature
_LONGEST = {_SEALED_HEAD: MAX_SEALED, _SIGNED_HEAD: MAX_SIGNED}


@dataclass(frozen=True)
class Item:
    """Bytes that should be one record.

    stated: what a file name or a row says of it, (owner or None, seq); None: nothing. column: a
    copy of a gateway record's content that must equal the signed one, where there is one.
    """

    place: Place
    kind: str
    data: bytes
    stated: tuple[str | None, int] | None = None
    column: bytes | None = None


def kind_of(name: str, data: bytes) -> str:
    """What a file claims to be: by its suffix, else by its first byte."""
    if name.endswith(DEVICE_SUFFIX):
        return DEVICE
    if name.endswith(GATEWAY_SUFFIX):
        return GATEWAY
    return _KINDS.get(data[0] if data else -1, UNKNOWN)


def verify_items(
    groups: Iterable[list[Item]],
    keys: Sequence[bytes],
    verify_cms: VerifyCms,
    running: bool = False,
    signers: Sequence[ec.EllipticCurvePublicKey] = (),
) -> Verdict:
    """Checks what was taken from files and tables; each group, one of them, gets a verdict.

    keys: HMAC keys of the devices, one per device; verify_cms raises ClsbenchError for what no
    trusted SMGW has signed; running: the last transaction of a series may be open still;
    signers: public keys of devices, one of which must have signed each device record.
    """
    verdict = Verdict()
    devices, gateways = DeviceSeries(keys, signers), GatewaySeries(verify_cms)
    for group in groups:
        details, faults = [], []
        for item in group:
            try:
                details.append(_take(item, len(group) == 1, devices, gateways))
            except Fault as fault:
                faults.append(
                    Finding(
                        fault.kind, f"{item.place}: {fault}", item.place, fault.owner, fault.seq
                    )
                )
        verdict.found += faults
        verdict.files.append(_summary(group, details, faults))
    verdict.found = [devices.judged(finding) for finding in verdict.found]
    devices.conclude(verdict, running)
    gateways.conclude(verdict, running)
    return verdict


def _take(item: Item, alone: bool, devices: DeviceSeries, gateways: GatewaySeries) -> str:
    if item.kind == DEVICE:
        return devices.take(item.place, item.data, item.stated, alone)
    if item.kind == GATEWAY:
        return gateways.take(item.place, item.data, item.stated, item.column)
    if item.kind == TRUNCATED:
        raise Fault(TRUNCATED, "not a COSE_Mac0 message: the file ends within this record")
    if len(item.data) > MAX_BYTES:
        raise Fault(UNREADABLE, f"{len(item.data)} bytes, more than any file of records")
    raise Fault(UNREADABLE, "neither a sealed device record nor a signed gateway record")


def _summary(group: list[Item], details: list[str], faults: list[Finding]) -> FileVerdict:
    first = group[0]
    kind = DEVICE if first.kind == TRUNCATED else first.kind
    if faults:
        prefix = f"{first.place}: "
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        return FileVerdict(
            first.place.file, kind, False, faults[0].text.removeprefix(prefix) + more
        )
    if len(details) == 1:
        return FileVerdict(first.place.file, kind, True, details[0])
    return FileVerdict(first.place.file, kind, True, f"{len(details)} records, {details[0]} first")


def file_items(name: str, data: bytes) -> list[Item]:
    """What a file holds: one record, or device records in a row."""
    kind = kind_of(name, data)
    if len(data) > MAX_BYTES:
        kind = UNKNOWN
    if kind == DEVICE and data:
        return list(_sequence(name, data))
    return [Item(Place(name), kind, data)]


def _sequence(name: str, data: bytes) -> Iterator[Item]:
    """The records of a CBOR sequence; behind bytes that are none it goes on at the next one."""
    start = 0
    while start < len(data):
        end = _end_of_record(data, start)
        place = Place(name, start)
        if end is not None:
            yield Item(place, DEVICE, data[start:end])
            start = end
            continue
        head = data[start : start + len(_SEALED_HEAD)]
        # within a signature stands a sealed record: the next one of its own is behind both
        heads = [_SIGNED_HEAD] if head == _SIGNED_HEAD else [_SEALED_HEAD, _SIGNED_HEAD]
        following = [at for each in heads if (at := data.find(each, start + 1)) > 0]
        end = min(following, default=len(data))
        cut = end == len(data) and head in _LONGEST
        yield Item(place, TRUNCATED if cut else DEVICE, data[start:end])
        start = end


def _end_of_record(data: bytes, start: int) -> int | None:
    """Where the sealed record that begins at `start` ends; None when none begins there."""
    longest = _LONGEST.get(data[start : start + len(_SEALED_HEAD)])
    if longest is None:
        return None
    stream = io.BytesIO(data[start : start + longest])
    try:
        cbor2.CBORDecoder(stream, read_size=1).decode()
    except (cbor2.CBORError, ValueError):
        return None
    return start + stream.tell()
