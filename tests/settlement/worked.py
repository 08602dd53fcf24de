"""The notation of the worked cases in `cases/`, turned into documents and expectations.

Readings   08:15=1100          due 08:15, register 1100; /3 status; @08:14:59 captured; ~ before
                               the time: captured only. Times without a date: 4 May 2026, UTC.
Events     "1 begin A 08:05 i=1030 e=5 ptb=3 time=bad meter=M scaler=-1"   (- for no UUID)
Slots      "08:00 import settled measured 100 HOME=40 WIND/A=60"           (- for no total)
A, B, C stand for UUIDs; A's group is WIND, B's is SUN, nobody named one for C.
"""

import tomllib
from pathlib import Path
from typing import Any

METER = "1EAS0012345678"
OBIS = {"i": "1-0:1.8.0", "e": "1-0:2.8.0", "import": "1-0:1.8.0", "export": "1-0:2.8.0"}
UUIDS = {name: f"6f1b0e52-6d0a-4c3e-9a3f-0c8f5b1d2e0{name.lower()}" for name in "ABC"}
NAMES = {uuid: name for name, uuid in UUIDS.items()}
GROUPS = {"rest": "HOME", "delta": "DELTA"}
BY_UUID = {UUIDS["A"]: "WIND", UUIDS["B"]: "SUN"}


def cases() -> list[dict[str, Any]]:
    """All worked cases, in order of their files."""
    folder = Path(__file__).with_name("cases")
    return [
        case
        for path in sorted(folder.glob("*.toml"))
        for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
    ]


def document(case: dict[str, Any]) -> dict[str, Any]:
    """The input document of a case."""
    mode = case.get("mode", "sections")
    body: dict[str, Any] = {"mode": mode, "timezone": "Europe/Berlin"}
    body["groups"] = {**GROUPS, "by_uuid": BY_UUID}
    body["policy"] = case.get("policy", {})
    if mode == "claims":
        body |= {"unit_scaler": 0, "measured": [], "claims": []}
        for line in case["measured"]:
            start, direction, raw = line.split()
            body["measured"].append(_entry(start, direction, raw))
        for line in case["claims"]:
            start, direction, group, raw = line.split()
            body["claims"].append({**_entry(start, direction, raw), "group": group})
    elif mode == "storage_split":
        names = ("z1_import", "z1_export", "z2_import", "z2_export")
        rows = [map(int, line.split()) for line in case["quarters"]]
        body |= {
            "unit_scaler": 0,
            "quarters": [dict(zip(names, row, strict=True)) for row in rows],
        }
    else:
        body |= _sections(case)
    return {"schema": 1, "id": case["id"], "input": body}


def _sections(case: dict[str, Any]) -> dict[str, Any]:
    start, end = case["window"].split()
    scaler = case.get("scaler", 0)
    series = [
        {"meter_id": METER, "obis": OBIS[name], "readings": case[name]}
        for name in ("import", "export")
        if name in case
    ]
    raw = dict(case.get("raw", {}))
    if "open_at_start" in raw:
        raw["open_at_start"] = [UUIDS[name] for name in raw["open_at_start"]]
    return {
        "window": {"from": instant(start), "to": instant(end)},
        "series": [
            {**one, "scaler": scaler, "unit": "Wh", "readings": _readings(one["readings"])}
            for one in series + case.get("series", [])
        ],
        "events": [_event(line, scaler) for line in case.get("events", [])],
        "meter_changes": [_change(line) for line in case.get("changes", [])],
        **raw,
    }


def instant(text: str) -> str:
    """`08:15` as an instant of 4 May 2026; a text with a date as it is."""
    if "T" in text:
        return text
    return f"2026-05-04T{text if text.count(':') == 2 else text + ':00'}Z"


def _readings(text: str) -> list[dict[str, Any]]:
    found = []
    for word in text.split():
        times, _, raw = word.partition("=")
        times, _, ptb = times.partition("/")
        due, _, captured = times.partition("@")
        entry: dict[str, Any] = {"raw": int(raw)}
        if due.startswith("~"):
            due, captured = "", due[1:]
        entry |= {"t": instant(due)} if due else {}
        entry |= {"captured": instant(captured)} if captured else {}
        entry |= {"ptb": int(ptb)} if ptb else {}
        found.append(entry)
    return found


def _event(line: str, scaler: int) -> dict[str, Any]:
    seq, kind, name, at, *rest = line.split()
    words = dict(word.split("=") for word in rest)
    scaler = int(words.get("scaler", scaler))
    event = {
        "seq": int(seq),
        "kind": kind,
        "uuid": UUIDS.get(name),
        "t": instant(at),
        "meter_id": words.get("meter", METER),
        "cls_id": "ECLS0000000017",
        "values": [
            {"obis": OBIS[key], "raw": int(words[key]), "scaler": scaler}
            for key in ("i", "e")
            if key in words
        ],
    }
    event |= {"ptb": int(words["ptb"])} if "ptb" in words else {}
    return event | ({"time_valid": False} if words.get("time") == "bad" else {})


def _change(line: str) -> dict[str, Any]:
    at, old, new, *values = line.split()
    change: dict[str, Any] = {"t": instant(at), "old_meter": old, "new_meter": new}
    change |= {"finals": [], "starts": []}
    for word in values:
        key, _, pair = word.partition("=")
        for name, raw in zip(("finals", "starts"), pair.split(","), strict=True):
            change[name].append({"obis": OBIS[key], "raw": int(raw), "scaler": 0})
    return change


def _entry(start: str, direction: str, raw: str) -> dict[str, Any]:
    return {"start": instant(start), "direction": direction, "raw": int(raw)}


# what came out, in the same notation


def slot_line(slot: dict[str, Any]) -> list[str]:
    """The words of a slot; parts sorted."""
    total = "-" if slot["total"] is None else str(slot["total"])
    parts = [
        f"{part['group']}{'/' + NAMES[part['uuid']] if part['uuid'] else ''}={part['energy']}"
        for part in slot["parts"]
    ]
    head = [slot["start"][11:16], slot["direction"], slot["state"], slot["quality"], total]
    return head + sorted(parts)


def transaction_line(one: dict[str, Any]) -> list[str]:
    """The words of a transaction."""
    energies = [
        f"{name}={'null' if value is None else value}" for name, value in one["energy"].items()
    ]
    return [NAMES[one["uuid"]], one["group"], one["state"], *sorted(energies)]


def market_line(slot: dict[str, Any]) -> list[str]:
    """The words of a slot's market figures."""
    market = slot["market_kwh"]
    groups = [f"{group}={text}" for group, text in market["groups"].items()]
    return [slot["start"][11:16], slot["direction"], market["total"], *sorted(groups)]


def day_lines(day: dict[str, Any]) -> list[list[str]]:
    """The words of a day, one line for each direction."""
    lines = []
    for name in ("import", "export"):
        if name in day:
            counts = [f"{key}={day[name][key]}" for key in ("slots", "missing", "total")]
            groups = [f"{group}={energy}" for group, energy in day[name]["groups"].items()]
            lines.append([day["date"], name, *counts, *sorted(groups)])
    return lines


def words(line: str, fixed: int) -> list[str]:
    """An expected line, its words behind the first `fixed` ones sorted."""
    found = line.split()
    return found[:fixed] + sorted(found[fixed:])
