"""The checks at the end of the demo: each looks at evidence and gives name, verdict, detail."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clsbench.clock import iso
from clsbench.demo.evidence import (
    IMPORT,
    QUARTER_MS,
    GatewayRecord,
    Pair,
    Slot,
    agreement_bound_dwh,
    device_dwh,
    pair_up,
    quarter_hours,
    told_missing,
    with_register,
)
from clsbench.demo.scenario import Outcome
from clsbench.device.records import DeviceRecord, SealBroken, check_chain, open_record
from clsbench.smgw.core.cms import CmsError, SignedContent
from clsbench.smgw.core.records import content_bytes

MIN_RECORDS = 12
MIN_TRANSACTIONS = 2
LATENCY_LIMIT_MS = 250
_DEVICE_STEP_DWH = 100  # the SDM630 counts 0.01 kWh
_GATEWAY_STEP_DWH = 1


@dataclass(frozen=True)
class Check:
    """One line of the result."""

    name: str
    ok: bool
    detail: str


@dataclass
class Evidence:
    """Everything the checks look at.

    served_dwh: every import register the MID meter sent, in 0.1 Wh, decoded from its bytes.
    history: (t_ms, relay closed, power_w) of the load. relay_latencies_ms: command to pin.
    verify_cms: the signed content; raises CmsError unless the bytes are a record of this SMGW.
    house_dwh: energy of the base load between two instants (scenario `house`), or None.
    capture_values: the sets of values of each telegram of a played capture, or None.
    """

    device: list[DeviceRecord]
    broken: list[str]
    gateway: list[GatewayRecord]
    outcome: Outcome
    key: bytes
    delivered: dict[int, bytes]
    served_dwh: set[int]
    history: list[tuple[int, bool, int]]
    max_power_w: int
    latency_ms: int
    relay_latencies_ms: list[float]
    verify_cms: Callable[[bytes], SignedContent]
    house_dwh: Callable[[int, int], int] | None = None
    capture_values: list[set[tuple[str, int, int, int]]] | None = None
    pairs: list[Pair] = field(init=False)
    slots: list[Slot] = field(init=False)

    def __post_init__(self) -> None:
        uuids = [one.uuid for one in self.outcome.commanded]
        self.pairs = pair_up(uuids, self.device, self.gateway)
        self.slots = quarter_hours(self.device)


def run_checks(evidence: Evidence) -> list[Check]:
    """All checks that apply, in the order they are shown."""
    checks = [
        _device_records(evidence),
        _gateway_records(evidence),
        _sequences(evidence),
        _both_witnesses(evidence),
    ]
    if evidence.capture_values is not None:
        checks.append(_capture(evidence, evidence.capture_values))
    else:
        checks.append(_energies(evidence))
    checks += [
        _quarter_hour_sums(evidence),
        _served(evidence),
        _load_only_commanded(evidence),
        _delivered(evidence),
        _foreign_refused(evidence),
        _altered_record(evidence),
        _altered_signature(evidence),
        _latency(evidence),
    ]
    return checks


def _device_records(evidence: Evidence) -> Check:
    count, broken = len(evidence.device), evidence.broken
    ok = count >= MIN_RECORDS and not broken
    detail = f"{count} sealed device records verify with the device's key"
    return Check("device_records_verify", ok, detail if ok else f"{count} good; {broken}")


def _gateway_records(evidence: Evidence) -> Check:
    refused = []
    for record in evidence.gateway:
        name = f"{record.content['profile_id']} {record.content['seq']}"
        try:
            signed = evidence.verify_cms(record.cms)
        except CmsError as error:
            refused.append(f"{name}: {error}")
            continue
        if signed.content != content_bytes(record.content):
            refused.append(f"{name}: its content is not what is signed")
    ok = bool(evidence.gateway) and not refused
    detail = f"{len(evidence.gateway)} gateway records carry a valid signature of the SMGW"
    return Check("gateway_records_verify", ok, detail if ok else f"refused: {refused}")


def _sequences(evidence: Evidence) -> Check:
    findings = check_chain(evidence.device)
    if not evidence.device or not evidence.gateway:
        findings.append(f"{len(evidence.device)} device, {len(evidence.gateway)} gateway records")
    if evidence.device and evidence.device[0].seq != 1:
        findings.append(f"device records begin with {evidence.device[0].seq}")
    by_profile: dict[str, list[int]] = {}
    for record in evidence.gateway:
        by_profile.setdefault(record.content["profile_id"], []).append(record.content["seq"])
    for profile, numbers in by_profile.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            findings.append(f"gateway profile {profile}: numbers {sorted(numbers)}")
    spans = ", ".join(f"{name} 1..{len(n)}" for name, n in sorted(by_profile.items()))
    detail = f"device 1..{len(evidence.device)}, {spans}: no gap, no repeat, links hold"
    return Check("sequences_gapless", not findings, detail if not findings else str(findings))


def _both_witnesses(evidence: Evidence) -> Check:
    incomplete = [pair.uuid for pair in evidence.pairs if not pair.complete]
    count = len(evidence.pairs)
    ok = count >= MIN_TRANSACTIONS and not incomplete
    detail = f"{count} transactions: begin and end with one UUID in device and gateway records"
    return Check("both_witnesses", ok, detail if ok else f"incomplete: {incomplete}")


def compare_energy(evidence: Evidence, pair: Pair) -> dict[str, Any]:
    """Energies of one complete pair in 0.1 Wh, the bound, what it is made of, and the verdict."""
    assert pair.device_begin and pair.device_end and pair.gateway_begin and pair.gateway_end
    device = device_dwh(pair.device_end) - device_dwh(pair.device_begin)
    begin, end = pair.gateway_begin.import_dwh(), pair.gateway_end.import_dwh()
    if begin is None or end is None:
        return {"device_dwh": device, "gateway_dwh": None, "ok": False}
    gateway = end - begin
    try:
        bound, parts = agreement_bound_dwh(
            pair, evidence.max_power_w, evidence.latency_ms, _DEVICE_STEP_DWH + _GATEWAY_STEP_DWH
        )
    except ValueError:  # a reading without a time
        return {"device_dwh": device, "gateway_dwh": gateway, "ok": False}
    others = 0
    if evidence.house_dwh is not None:
        others = evidence.house_dwh(
            pair.gateway_begin.content["captured_ms"], pair.gateway_end.content["captured_ms"]
        )
    return {
        "device_dwh": device,
        "gateway_dwh": gateway,
        "others_dwh": others,
        "difference_dwh": gateway - others - device,
        "bound_dwh": bound,
        "bound_parts": parts,
        "ok": abs(gateway - others - device) <= bound,
    }


def _energies(evidence: Evidence) -> Check:
    compared = [compare_energy(evidence, pair) for pair in evidence.pairs if pair.complete]
    ok = 0 < len(compared) == len(evidence.pairs) and all(one["ok"] for one in compared)
    shown = ", ".join(
        f"{wh(abs(one['difference_dwh']))} of at most {wh(one['bound_dwh'])}"
        for one in compared
        if "bound_dwh" in one
    )
    detail = f"energies of the two witnesses apart: {shown}"
    return Check("witnesses_agree", ok, detail if shown else "nothing to compare")


def _quarter_hour_sums(evidence: Evidence) -> Check:
    slots, records = evidence.slots, with_register(evidence.device)
    falls = [
        after.seq
        for before, after in zip(records, records[1:], strict=False)
        if device_dwh(after) < device_dwh(before)
    ]
    grid = [record for record in records if record.taf == 7]
    if len(grid) < 2:
        return Check("quarter_hours_add_up", False, f"only {len(grid)} TAF7 readings")
    metered = device_dwh(grid[-1]) - device_dwh(grid[0])
    parts = sum(sum(slot.parts_dwh.values()) for slot in slots)
    traded = sum(e for slot in slots for uuid, e in slot.parts_dwh.items() if uuid is not None)
    told = told_missing(evidence.device)
    missing = [
        due_ms
        for slot in slots
        for due_ms in range(slot.from_ms + QUARTER_MS, slot.to_ms, QUARTER_MS)
    ]
    uneven = [due_ms for due_ms in missing if due_ms not in told]
    uneven += [slot.to_ms for slot in slots if (slot.to_ms - slot.from_ms) % QUARTER_MS]
    ok = parts == metered and not falls and not uneven
    detail = (
        f"{len(slots) + len(missing)} quarter hours: {wh(traded)} in transactions + "
        f"{wh(parts - traded)} rest = {wh(parts)}, metered {wh(metered)}"
    )
    if falls:
        detail += f"; falls at {falls}"
    if uneven:
        detail += f"; no reading and no word of {', '.join(map(iso, uneven))}"
    elif missing:
        detail += f"; the device tells that it missed {', '.join(map(iso, missing))}"
    return Check("quarter_hours_add_up", ok, detail)


def _served(evidence: Evidence) -> Check:
    records = with_register(evidence.device)
    strangers = [r.seq for r in records if device_dwh(r) not in evidence.served_dwh]
    ok = bool(records) and not strangers
    detail = f"each recorded register is one of {len(evidence.served_dwh)} the meter sent"
    return Check("registers_as_served", ok, detail if ok else f"never sent: records {strangers}")


def _load_only_commanded(evidence: Evidence) -> Check:
    allowed = [(one.begin_ms, one.ended_ms) for one in evidence.outcome.commanded]
    outside = []
    drawn = 0
    for index, (t_ms, _closed, power_w) in enumerate(evidence.history):
        if not power_w:
            continue
        drawn += 1
        last = index + 1 == len(evidence.history)
        until_ms = evidence.outcome.ended_ms if last else evidence.history[index + 1][0]
        if not any(begin <= t_ms and until_ms <= end for begin, end in allowed):
            outside.append((t_ms, until_ms, power_w))
    ok = drawn > 0 and not outside
    detail = f"power flowed only inside {len(allowed)} commanded spans"
    return Check("load_only_commanded", ok, detail if ok else f"{drawn} spans, outside: {outside}")


def _delivered(evidence: Evidence) -> Check:
    missing = [r.seq for r in evidence.device if evidence.delivered.get(r.seq) != r.sealed]
    ok = bool(evidence.device) and not missing
    detail = f"the aEMT holds all {len(evidence.device)} device records, byte for byte"
    return Check("records_delivered", ok, detail if ok else f"missing or different: {missing}")


def _foreign_refused(evidence: Evidence) -> Check:
    reason = evidence.outcome.refusal
    ok = not reason.startswith("NOT REFUSED")
    return Check("foreign_cls_refused", ok, reason)


def _altered_record(evidence: Evidence) -> Check:
    if not evidence.device:
        return Check("altered_record_detected", False, "no record to alter")
    record = evidence.device[-1]
    copy = bytearray(record.sealed)
    value = record.value(IMPORT)
    at = copy.find(value.raw.to_bytes(4, "big")) if value else -1
    copy[at + 3 if at >= 0 else len(copy) // 2] ^= 1
    try:
        open_record(bytes(copy), evidence.key)
    except SealBroken as error:
        return Check("altered_record_detected", True, f"one digit changed in a copy: {error}")
    return Check("altered_record_detected", False, f"altered copy of record {record.seq} verified")


def _altered_signature(evidence: Evidence) -> Check:
    if not evidence.gateway:
        return Check("altered_gateway_record_detected", False, "no record to alter")
    copy = bytearray(evidence.gateway[-1].cms)
    copy[copy.find(b'"raw":') + 6] ^= 1
    try:
        evidence.verify_cms(bytes(copy))
    except CmsError as error:
        return Check("altered_gateway_record_detected", True, f"one digit changed: {error}")
    return Check("altered_gateway_record_detected", False, "an altered copy verified")


def _latency(evidence: Evidence) -> Check:
    stored = sorted(ms for one in evidence.outcome.commanded for ms in one.latencies_ms)
    relay = sorted(evidence.relay_latencies_ms)
    if not stored or not relay:
        return Check("command_latency", False, "no command was timed")
    ok = statistics.median(stored) < LATENCY_LIMIT_MS
    return Check(
        "command_latency",
        ok,
        f"command to relay {spread(relay)}; to stored record {spread(stored)} (real time)",
    )


def _capture(evidence: Evidence, telegrams: list[set[tuple[str, int, int, int]]]) -> Check:
    # a quarter hour in whose window no telegram came is told without a value, not invented
    gaps = [
        record for record in evidence.gateway if record.taf == 7 and not record.content["values"]
    ]
    read = [record for record in evidence.gateway if record not in gaps]
    wrong = []
    for record in read:
        values = {
            (value["obis"], value["raw"], value["scaler"], value["unit"])
            for value in record.content["values"]
        }
        if values not in telegrams:
            wrong.append(f"{record.content['profile_id']} {record.content['seq']}")
    ok = bool(read) and not wrong
    detail = f"{len(read)} gateway readings equal the capture's, digit for digit"
    if gaps:
        detail += f"; {len(gaps)} quarter hours told as without a reading"
    return Check("capture_digits", ok, detail if ok else f"differ: {wrong}")


def wh(dwh: int) -> str:
    """`1234.5 Wh` for an integer of 0.1 Wh."""
    sign = "-" if dwh < 0 else ""
    return f"{sign}{abs(dwh) // 10}.{abs(dwh) % 10} Wh"


def spread(values: list[float]) -> str:
    """Smallest, median and largest of sorted milliseconds."""
    return f"{values[0]:.0f} / {statistics.median(values):.0f} / {values[-1]:.0f} ms"
