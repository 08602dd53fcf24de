"""Writes what the demo found: records, result document, and the lines a person reads."""

import json
from pathlib import Path
from typing import Any

from clsbench.clock import iso
from clsbench.demo.checks import Check, compare_energy, wh
from clsbench.demo.evidence import Pair, Slot
from clsbench.demo.run import DemoResult
from clsbench.demo.settlement import settlements


def document(result: DemoResult) -> dict[str, Any]:
    """The JSON document of `clsbench demo --json`."""
    evidence = result.evidence
    return {
        "ok": all(check.ok for check in result.checks),
        "scenario": result.options.scenario,
        "speed": result.options.speed,
        "names": result.names,
        "transactions": [_transaction(result, pair) for pair in evidence.pairs],
        "quarter_hours": [_slot(slot) for slot in evidence.slots],
        "settlement": settlements(evidence),
        "records": [record.document() | {"witness": "device"} for record in evidence.device]
        + [record.content | {"witness": "gateway"} for record in evidence.gateway],
        "latency_ms": {
            "command_to_relay": [round(ms, 1) for ms in evidence.relay_latencies_ms],
            "command_to_record": [
                round(ms, 1) for one in evidence.outcome.commanded for ms in one.latencies_ms
            ],
        },
        "heap": evidence.outcome.status["heap"],
        "checks": [vars(check) for check in result.checks],
    }


def write_files(result: DemoResult, out: Path) -> dict[str, Any]:
    """Writes records and document below `out`; returns the document."""
    device, gateway = out / "device-records", out / "gateway-records"
    device.mkdir(exist_ok=True)
    gateway.mkdir(exist_ok=True)
    for record in result.evidence.device:
        stem = device / f"{record.seq:06d}-taf{record.taf}"
        stem.with_suffix(".cbor").write_bytes(record.sealed)
        stem.with_suffix(".json").write_text(json.dumps(record.document(), indent=2) + "\n")
    for item in result.evidence.gateway:
        stem = gateway / f"{item.content['profile_id']}-{item.content['seq']:06d}"
        stem.with_suffix(".cms.der").write_bytes(item.cms)
        stem.with_suffix(".json").write_text(json.dumps(item.content, indent=2) + "\n")
    content = document(result)
    (out / "result.json").write_text(json.dumps(content, indent=2) + "\n")
    return content


def summary(content: dict[str, Any], checks: list[Check], out: Path) -> list[str]:
    """The result in lines for the terminal."""
    lines = ["", "Transactions"]
    for one in content["transactions"]:
        lines += _transaction_lines(one)
    lines += ["", "Checks"]
    width = max(len(check.name) for check in checks)
    for check in checks:
        lines.append(f"  {'✓' if check.ok else '✗'} {check.name:{width}}  {check.detail}")
    good = sum(check.ok for check in checks)
    lines += ["", f"{good} of {len(checks)} checks hold. Everything is in {out}/ :"]
    lines.append("  report.html, result.json, events.jsonl, device-records/, gateway-records/")
    return lines


def _transaction_lines(one: dict[str, Any]) -> list[str]:
    lines = [f"  {one['uuid']}  {one['name']}"]
    for label, key in (
        ("device (MID meter)", "device_dwh"),
        ("gateway (base meter)", "gateway_dwh"),
    ):
        known = one.get(key) is not None
        lines.append(f"      {label:22}{wh(one[key]) if known else '-':>12}")
    if one.get("others_dwh"):
        lines.append(f"      {'of it the household':22}{wh(one['others_dwh']):>12}")
    if "bound_dwh" in one:
        lines.append(
            f"      {'apart':22}{wh(abs(one['difference_dwh'])):>12}   {_bound_text(one)}"
        )
    return lines


def _bound_text(one: dict[str, Any]) -> str:
    """What the bound is made of: `bound_parts` of `compare_energy`."""
    parts = one["bound_parts"]
    return (
        f"at most {wh(one['bound_dwh'])}: readings {seconds(parts['begin_apart_ms'])} and "
        f"{seconds(parts['end_apart_ms'])} apart, clock within "
        f"{seconds(parts['begin_time_bound_ms'])} and {seconds(parts['end_time_bound_ms'])}, on "
        f"their way {seconds(parts['latency_ms'])}, at most {parts['max_power_w']} W, resolution "
        f"{wh(parts['resolution_dwh'])}"
    )


def seconds(ms: int) -> str:
    """`4.5 s` for milliseconds of bench time, rounded up: it stands in a bound."""
    tenths = -(-ms // 100)
    return f"{tenths // 10}.{tenths % 10} s"


def _transaction(result: DemoResult, pair: Pair) -> dict[str, Any]:
    one = next(item for item in result.evidence.outcome.commanded if item.uuid == pair.uuid)
    known: dict[str, Any] = {
        "uuid": pair.uuid,
        "name": one.name,
        "complete": pair.complete,
        "begin": iso(one.begin_ms),
        "end": iso(one.end_ms),
        "device_seqs": [one.begin_seq, one.end_seq],
        "unit": "0.1 Wh",
        "device_dwh": None,
        "gateway_dwh": None,
    }
    return known | (compare_energy(result.evidence, pair) if pair.complete else {})


def _slot(slot: Slot) -> dict[str, Any]:
    return {
        "from": iso(slot.from_ms),
        "to": iso(slot.to_ms),
        "total_dwh": slot.total_dwh,
        "parts": [{"uuid": uuid, "energy_dwh": energy} for uuid, energy in slot.parts_dwh.items()],
    }
