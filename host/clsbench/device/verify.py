"""Verdicts on a set of record files: each by itself, then device chains and gateway sequences.

Pure: bytes in, verdicts out. Device records are sealed COSE_Mac0 (docs/wire.cddl), gateway
records CMS SignedData around JSON; keys and the signature check are handed in. What is missing
behind the last record of a series cannot be seen from the records alone.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from clsbench.device.records import (
    DeviceRecord,
    SealBroken,
    chain_findings,
    open_record,
    read_unchecked,
)
from clsbench.errors import ClsbenchError
from clsbench.smgw.core.records import read_content

DEVICE, GATEWAY, UNKNOWN = "device", "gateway", "unknown"
DEVICE_SUFFIX, GATEWAY_SUFFIX = ".cbor", ".cms.der"
MAX_BYTES = 1024 * 1024

VerifyCms = Callable[[bytes], tuple[bytes, str]]  # DER -> content, id of the signing SMGW

_DEVICE_NAME = re.compile(r"(\d{6,})-taf(\d+)\.cbor$")
_GATEWAY_NAME = re.compile(r"(.+)-(\d{6,})\.cms\.der$")
_COSE_FIRST, _DER_FIRST = 0xD1, 0x30  # CBOR tag 17; ASN.1 SEQUENCE


@dataclass(frozen=True)
class FileVerdict:
    """One file: kind is device, gateway or unknown; detail says what it holds or what is wrong."""

    file: str
    kind: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Series:
    """Records that number each other: of a device's key, or of a gateway's profile."""

    kind: str
    name: str
    first: int
    last: int
    records: int
    ok: bool


@dataclass
class Verdict:
    """files in the order given; findings: everything that is wrong, one sentence each."""

    files: list[FileVerdict] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True without any finding."""
        return not self.findings

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ok": self.ok,
            "files": [vars(each) for each in self.files],
            "series": [vars(each) for each in self.series],
            "findings": self.findings,
        }


@dataclass(frozen=True)
class _Item:
    """A verified record in its series. content: what must not differ between two of a number."""

    file: str
    seq: int
    content: bytes


def kind_of(name: str, data: bytes) -> str:
    """What a file claims to be: by its suffix, else by its first byte."""
    if name.endswith(DEVICE_SUFFIX):
        return DEVICE
    if name.endswith(GATEWAY_SUFFIX):
        return GATEWAY
    return {_COSE_FIRST: DEVICE, _DER_FIRST: GATEWAY}.get(data[0] if data else -1, UNKNOWN)


def verify_files(
    files: Iterable[tuple[str, bytes]], keys: Sequence[bytes], verify_cms: VerifyCms
) -> Verdict:
    """Checks (name, content) pairs.

    keys: HMAC keys of the devices, one per device; verify_cms raises ClsbenchError for what no
    trusted SMGW has signed.
    """
    verdict = Verdict()
    devices = _Devices(keys)
    gateways = _Gateways(verify_cms)
    for name, data in files:
        kind = kind_of(name, data)
        try:
            if len(data) > MAX_BYTES:
                raise _Fault(f"{len(data)} bytes, more than any record")
            if kind == UNKNOWN:
                raise _Fault("neither a sealed device record nor a signed gateway record")
            detail = (devices if kind == DEVICE else gateways).take(name, data)
            verdict.files.append(FileVerdict(name, kind, True, detail))
        except _Fault as error:
            verdict.files.append(FileVerdict(name, kind, False, str(error)))
            verdict.findings.append(f"{name}: {error}")
    devices.conclude(verdict)
    gateways.conclude(verdict)
    return verdict


class _Fault(ClsbenchError):
    """One file is not what it should be."""


class _Devices:
    """Device records by the key that opens them; a record's label of its device is not sealed."""

    def __init__(self, keys: Sequence[bytes]):
        self._keys = keys
        self._by_key: dict[int, list[tuple[str, DeviceRecord]]] = {}

    def take(self, name: str, data: bytes) -> str:
        index, record = self._open(data)
        self._by_key.setdefault(index, []).append((name, record))
        named = _DEVICE_NAME.search(name)
        if named and (int(named[1]), int(named[2])) != (record.seq, record.taf):
            raise _Fault(f"holds record {record.seq}, TAF{record.taf}, which its name denies")
        return describe(record)

    def conclude(self, verdict: Verdict) -> None:
        for index in sorted(self._by_key):
            pairs = self._by_key[index]
            records = [record for _name, record in pairs]
            names = _names(_Item(name, record.seq, record.sealed) for name, record in pairs)
            found = [f"{text} ({', '.join(names[seq])})" for seq, text in chain_findings(records)]
            found += _repeats(
                [_Item(name, record.seq, record.sealed) for name, record in pairs],
                f"of {records[0].device_id}",
                differing=False,  # chain_findings has told of those
            )
            found += _labels(pairs)
            seqs = sorted(names)
            verdict.findings += found
            verdict.series.append(
                Series(DEVICE, records[0].device_id, seqs[0], seqs[-1], len(seqs), not found)
            )

    def _open(self, data: bytes) -> tuple[int, DeviceRecord]:
        reason = "no key was given"
        for index, key in enumerate(self._keys):
            try:
                return index, open_record(data, key)
            except SealBroken as error:
                reason = str(error)
        raise _Fault(reason + _claim(data))


class _Gateways:
    """Gateway records by SMGW and profile."""

    def __init__(self, verify_cms: VerifyCms):
        self._verify = verify_cms
        self._by_profile: dict[tuple[str, str], list[_Item]] = {}

    def take(self, name: str, data: bytes) -> str:
        try:
            content, signer = self._verify(data)
            record = read_content(content)
        except ClsbenchError as error:
            raise _Fault(str(error)) from error
        smgw_id, profile_id, seq = record["smgw_id"], record["profile_id"], record["seq"]
        if smgw_id != signer:
            raise _Fault(f"is of {smgw_id}, but was signed by {signer}")
        self._by_profile.setdefault((smgw_id, profile_id), []).append(_Item(name, seq, content))
        named = _GATEWAY_NAME.search(name.rsplit("/", 1)[-1])
        if named and (named[1], int(named[2])) != (profile_id, seq):
            raise _Fault(f"holds record {seq} of profile {profile_id}, which its name denies")
        return f"record {seq} of {smgw_id}, profile {profile_id}: {_event_of(record)}"

    def conclude(self, verdict: Verdict) -> None:
        for (smgw_id, profile_id), items in sorted(self._by_profile.items()):
            place = f"of {smgw_id}, profile {profile_id}"
            names = _names(items)
            seqs = sorted(names)
            found = _repeats(items, place, differing=True)
            for before, seq in zip(seqs, seqs[1:], strict=False):
                if seq != before + 1:
                    found.append(
                        f"record {seq} {place}: {_span(before + 1, seq - 1)} missing before it "
                        f"({names[seq][0]})"
                    )
            verdict.findings += found
            verdict.series.append(
                Series(GATEWAY, f"{smgw_id} {profile_id}", seqs[0], seqs[-1], len(seqs), not found)
            )


def describe(record: DeviceRecord) -> str:
    """A device record in half a line; all of it is sealed."""
    what = f"TAF{record.taf}" + (f" {record.event} {record.uuid}" if record.event else "")
    return f"record {record.seq} of CLS {record.cls_id}: {what}"


def _claim(data: bytes) -> str:
    try:
        record = read_unchecked(data)
    except SealBroken:
        return ""
    return f"; it claims to be record {record.seq}, TAF{record.taf}"


def _labels(pairs: list[tuple[str, DeviceRecord]]) -> list[str]:
    ordered = sorted(pairs, key=lambda pair: pair[1].seq)
    label = ordered[0][1].device_id
    return [
        f"record {record.seq}: labelled {record.device_id}, yet sealed with the key of {label} "
        f"({name})"
        for name, record in ordered
        if record.device_id != label
    ]


def _names(items: Iterable[_Item]) -> dict[int, list[str]]:
    names: dict[int, list[str]] = {}
    for item in items:
        names.setdefault(item.seq, []).append(item.file)
    return names


def _repeats(items: list[_Item], place: str, differing: bool) -> list[str]:
    """Numbers that stand more than once; with `differing` also those with unlike content."""
    found = []
    for seq, names in sorted(_names(items).items()):
        contents = [item.content for item in items if item.seq == seq]
        if len(set(contents)) < len(contents):
            found.append(f"record {seq} {place}: is there {len(names)} times ({', '.join(names)})")
        if differing and len(set(contents)) > 1:
            found.append(
                f"record {seq} {place}: two different records bear this number "
                f"({', '.join(names)})"
            )
    return found


def _span(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _event_of(record: dict[str, Any]) -> str:
    if record["type"] == "taf16":
        return f"TAF16 {record.get('event')} {record.get('uuid')}"
    return record["type"].upper()
