"""Transactions as an aEMT sees them: commands, gateway records and device records of one UUID.

Pure: rows in, one document for each transaction out, oldest first. Energy is the difference of
the import register between begin and end, exact, for each witness by itself.
"""

from collections.abc import Iterable
from typing import Any

from clsbench.device.records import ENDS, EVENTS
from clsbench.emt.seal import open_sealed

IMPORT = "1-0:1.8.0*255"
_IMPORT_BYTES = bytes((1, 0, 1, 8, 0, 255))

Reading = tuple[int, int]  # raw, scaler
_Events = dict[str, dict[str, Any]]  # event -> captured_ms, reading


def transactions(
    commands: Iterable[dict[str, Any]],
    gateway: Iterable[dict[str, Any]],
    device: Iterable[dict[str, Any]],
) -> list[dict[str, Any]]:
    """commands, gateway, device: rows as the operator interface gives them.

    state: `open` (begun, no end), `complete`, `ended by EVENT`, `refused`, or `unknown` where no
    answer came. witnesses: how many of the two have begin and end.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in commands:
        if row["action"] in ("begin", "end"):
            one = _of(found, row["uuid"], row["cls_id"])
            one["commands"].append({n: row[n] for n in ("action", "state", "code", "seq", "text")})
    for row in gateway:
        content = row["content"]
        if content.get("uuid") and content.get("event"):
            one = _of(found, content["uuid"], content.get("cls_id", ""))
            one["gateway"][content["event"]] = {
                "captured_ms": content["captured_ms"],
                "reading": _of_values(content["values"]),
            }
    for row in device:
        if row["uuid"]:
            fields = open_sealed(bytes.fromhex(row["sealed"])).fields
            one = _of(found, row["uuid"], row["cls_id"])
            event = EVENTS.get(fields.get(4, 0), row["event"])
            one["device"][event] = {
                "captured_ms": fields.get(9),
                "reading": _of_list(fields.get(8, [])),
            }
    made = [_document(one) for one in found.values() if _is_one(one)]
    return sorted(made, key=lambda one: one["begun_ms"] or 0)


def energy_text(energy: dict[str, int] | None) -> str:
    """`12.3 Wh`, exact."""
    if energy is None:
        return "-"
    raw, scaler = energy["raw"], energy["scaler"]
    if scaler >= 0:
        return f"{raw * 10**scaler} Wh"
    digits = str(abs(raw)).rjust(1 - scaler, "0")
    return f"{'-' if raw < 0 else ''}{digits[:scaler]}.{digits[scaler:]} Wh"


def _of(found: dict[str, dict[str, Any]], uuid: str, cls_id: str) -> dict[str, Any]:
    made = {"uuid": uuid, "cls_id": cls_id, "commands": [], "gateway": {}, "device": {}}
    return found.setdefault(uuid, made)


def _is_one(one: dict[str, Any]) -> bool:
    """Boots, changes under a UUID of their own, faults outside: no transactions."""
    seen = {*one["gateway"], *one["device"]}
    return bool(one["commands"] or seen & {"begin", "refused"})


def _document(one: dict[str, Any]) -> dict[str, Any]:
    gateway, device = one["gateway"], one["device"]
    ends = [event for event in (*device, *gateway) if event in ENDS]
    begin = device.get("begin") or gateway.get("begin")
    end = (device.get(ends[0]) or gateway.get(ends[0])) if ends else None
    whole = [side for side in (gateway, device) if "begin" in side and set(side) & set(ENDS)]
    return {
        "uuid": one["uuid"],
        "cls_id": one["cls_id"],
        "state": _state(one, begin, ends),
        "begun_ms": begin["captured_ms"] if begin else None,
        "ended_ms": end["captured_ms"] if end else None,
        "gateway": _energy(gateway),
        "device": _energy(device),
        "witnesses": len(whole),
        "commands": one["commands"],
    }


def _state(one: dict[str, Any], begin: Any, ends: list[str]) -> str:
    if begin and ends:
        return "complete" if ends[0] == "end" else f"ended by {ends[0]}"
    if begin:
        return "open"
    refused = any(each["code"] or each["state"] == "refused" for each in one["commands"])
    return "refused" if refused or "refused" in one["device"] else "unknown"


def _energy(events: _Events) -> dict[str, int] | None:
    end = next((events[event] for event in events if event in ENDS), None)
    begin = events.get("begin")
    if begin is None or end is None or begin["reading"] is None or end["reading"] is None:
        return None
    (first, first_scaler), (last, last_scaler) = begin["reading"], end["reading"]
    scaler = min(first_scaler, last_scaler)
    raw = last * 10 ** (last_scaler - scaler) - first * 10 ** (first_scaler - scaler)
    return {"raw": raw, "scaler": scaler}


def _of_values(values: list[dict[str, Any]]) -> Reading | None:
    return next(((v["raw"], v["scaler"]) for v in values if v["obis"] == IMPORT), None)


def _of_list(values: list[list[Any]]) -> Reading | None:
    return next(((v[1], v[2]) for v in values if v[0] == _IMPORT_BYTES), None)
