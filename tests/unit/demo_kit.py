"""A demo's evidence made by hand: what both witnesses wrote of two transactions in 105 minutes.

Every figure follows from LOAD_W and the minutes below; nothing is taken from the code under test
but the forms of its records.
"""

import hashlib
import json
from types import SimpleNamespace

from verify_kit import KEY, seal

from clsbench.demo.checks import Check, Evidence, run_checks
from clsbench.demo.evidence import GatewayRecord
from clsbench.demo.scenario import Commanded, Outcome
from clsbench.device.records import DeviceRecord, open_record
from clsbench.smgw.core.cms import CmsError
from clsbench.smgw.core.records import content_bytes

T0_MS = 1_777_882_500_000  # 2026-05-04 08:15:00 UTC
MINUTE_MS = 60_000
LOAD_W = 6000  # 100 Wh a minute
REST_MIN, REST_DWH = 70, 100  # what somebody else drew behind the meter, all at once
DEVICE_START_RAW = 12_000  # in 10 Wh
A, B = "6f1b0e52-0000-4000-8000-00000000000a", "6f1b0e52-0000-4000-8000-00000000000b"
SPANS = {A: (5, 26), B: (37, 52)}
GATEWAY_LATE_MS = 1000  # its reading comes so much after the device's
GATEWAY_START_DWH = 5_000_000
BOUND_MS = 20
LATENCY_MS = 500
OBIS = bytes((1, 0, 1, 8, 0, 255))
EVENTS = {"begin": 1, "end": 2}


def at_ms(minute: float) -> int:
    return T0_MS + int(minute * MINUTE_MS)


def energy_dwh(t_ms: int) -> int:
    """What was drawn up to an instant, exact but for the last 0.1 Wh."""
    spans = [(at_ms(begin), at_ms(end)) for begin, end in SPANS.values()]
    drawn_ms = sum(max(0, min(t_ms, end) - begin) for begin, end in spans)
    return drawn_ms * LOAD_W // 360_000 + (REST_DWH if t_ms >= at_ms(REST_MIN) else 0)


def device_fields() -> list[dict]:
    """TAF7 every quarter hour, TAF16 at both ends of each span; a register in 10 Wh."""
    told = [(minute, 7, None, None) for minute in range(0, 106, 15)]
    for uuid, (begin, end) in SPANS.items():
        told += [(begin, 16, uuid, "begin"), (end, 16, uuid, "end")]
    fields = []
    for minute, taf, uuid, event in sorted(told):
        t_ms = at_ms(minute)
        one = {
            2: taf,
            6: "ETST0020000017",
            7: "1EAS0012345678",
            8: [[OBIS, DEVICE_START_RAW + energy_dwh(t_ms) // 100, 1, 30]],
            9: t_ms,
            10: t_ms,
            11: [1, BOUND_MS],
            12: 0,
        }
        if uuid:
            one |= {3: bytes.fromhex(uuid.replace("-", "")), 4: EVENTS[event], 5: "wind"}
        fields.append(one)
    return fields


def sealed_chain(fields: list[dict]) -> list[DeviceRecord]:
    """Numbered from 1, linked and sealed."""
    records, previous = [], bytes(8)
    for seq, one in enumerate(fields, 1):
        sealed = seal(one | {1: seq, 13: previous})
        previous = hashlib.sha256(sealed).digest()[:8]
        records.append(open_record(sealed, KEY))
    return records


def sign(content: dict) -> bytes:
    """Stands for CMS: content and digest; `verify_signed` is its other side."""
    data = content_bytes(content)
    return data + hashlib.sha256(data).digest()


def verify_signed(signed: bytes) -> SimpleNamespace:
    if hashlib.sha256(signed[:-32]).digest() != signed[-32:]:
        raise CmsError("digest does not fit")
    return SimpleNamespace(content=signed[:-32])


def gateway_contents() -> list[dict]:
    contents = []
    for uuid, span in SPANS.items():
        for event, minute in zip(("begin", "end"), span, strict=True):
            contents.append({"type": "taf16", "uuid": uuid, "event": event, "minute": minute})
    contents += [{"type": "taf7", "minute": minute} for minute in (0, 15, 30)]
    numbers = {"taf16": 0, "taf7": 0}
    for content in contents:
        numbers[content["type"]] += 1
        event_ms = at_ms(content.pop("minute"))
        captured_ms = event_ms + GATEWAY_LATE_MS
        raw = GATEWAY_START_DWH + energy_dwh(captured_ms)
        content |= {
            "smgw_id": "ETST0010000001",
            "meter_id": "1EMH0098765432",
            "cls_id": "ETST0020000017",
            "status": "A000000020000000",
            "due_ms" if content["type"] == "taf7" else "event_ms": event_ms,
            "profile_id": content["type"] + "-1",
            "seq": numbers[content["type"]],
            "captured_ms": captured_ms,
            "values": [{"obis": "1-0:1.8.0*255", "raw": raw, "scaler": -1, "unit": 30}],
        }
    return contents


def gateway_records(contents: list[dict]) -> list[GatewayRecord]:
    return [GatewayRecord(content, sign(content)) for content in contents]


def outcome(**changed) -> Outcome:
    commanded = [
        Commanded(
            uuid,
            name,
            at_ms(begin),
            at_ms(begin) + 900,
            at_ms(end),
            at_ms(end) + 900,
            1,
            2,
            [40.0],
        )
        for (uuid, (begin, end)), name in zip(SPANS.items(), ("wind", "price"), strict=True)
    ]
    content = {
        "commanded": commanded,
        "refusal": "SMGW: 404 CLS not known",
        "status": {"heap": {}},
        "started_ms": T0_MS,
        "ended_ms": at_ms(105),
    }
    return Outcome(**(content | changed))


def history() -> list[tuple[int, bool, int]]:
    """The load as the plant tells it; the relay closes 0.1 s after the command."""
    told = [(T0_MS, False, 0)]
    for begin, end in SPANS.values():
        told += [(at_ms(begin) + 100, True, LOAD_W), (at_ms(end) + 100, False, 0)]
    return told


def evidence(**changed) -> Evidence:
    """Sound evidence, but for the fields named in `changed`.

    What depends on the device's records (delivered, served_dwh) follows them unless named too.
    """
    device = changed.get("device", sealed_chain(device_fields()))
    content = {
        "device": device,
        "broken": [],
        "gateway": gateway_records(gateway_contents()),
        "outcome": outcome(),
        "key": KEY,
        "delivered": {record.seq: record.sealed for record in device},
        "served_dwh": {value.raw * 100 for record in device for value in record.values},
        "history": history(),
        "max_power_w": LOAD_W,
        "latency_ms": LATENCY_MS,
        "relay_latencies_ms": [12.0, 15.0],
        "verify_cms": verify_signed,
    }
    return Evidence(**(content | changed))


def verdict(name: str, **changed) -> Check:
    """One check of `run_checks` on doctored evidence."""
    (check,) = [check for check in run_checks(evidence(**changed)) if check.name == name]
    json.dumps(vars(check))  # it goes into the result document
    return check
