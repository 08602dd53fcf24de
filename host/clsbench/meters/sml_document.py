"""What the device's SML reader makes of captured bytes, as plain data for JSON.

Runs on CPython and, as a script, in the device's interpreter: bytes on stdin, one JSON text
on stdout. Knows no files and no options. MicroPython subset.
"""

import json
import sys

from dicamm.proto.d0 import READOUT, D0Receiver
from dicamm.proto.sml import FRAME, SmlReceiver, read_payload
from dicamm.proto.sml_bodies import ATTENTION, SmlTree, attention_text
from dicamm.proto.sml_diagnosis import TEXT, LineDiagnosis
from dicamm.proto.sml_entry import LENGTH_NOT_MULTIPLE_OF_4, SmlEntry
from dicamm.proto.sml_transport import FRAME_DISCARDS

_CHUNK = 64
_MAX_FRAME = 0xFFFF
_LOCAL = 3  # choice of a local time

# rare forms that a reader may stumble over, beside the quirks that the device tells
MESSAGE_CRC_BAD = "message_crc_bad"
LIST_WITH_TWO_BYTE_TL = "list_with_two_byte_tl"
ENTRY_WITHOUT_VALUE = "entry_without_value"
TIME_AS_VALUE = "time_as_value"
VAL_TIME_LOCAL = "val_time_local"


def document(data):
    """The frames in `data`, good and broken, in order, and the counts of what was discarded.

    {"frames": [...], "discarded": {reason: number}}. A frame: offset, length, crc ("x25",
    "kermit", "bad", None), valid, reason (of a broken one), server_id (hex), list_name (hex),
    sensor_time, gateway_time, signature (hex), quirks, refused (messages), entries; "bodies"
    where there are messages besides a value list. Bytes without any transport are tried as
    messages. Where something is wrong with the line, "diagnosis" is a list of
    {"finding", "number"}; where there are text readouts (D0), they stand in "readouts".
    """
    receiver = SmlReceiver(_MAX_FRAME)
    diagnosis = LineDiagnosis(_MAX_FRAME)
    found = []
    for at in range(0, len(data), _CHUNK):
        part = data[at : at + _CHUNK]
        diagnosis.feed(part)
        receiver.feed(part)
        _fetch(receiver, found)
    receiver.finish()
    diagnosis.finish()
    _fetch(receiver, found)
    if not found and data:
        payload = _payload_document(data)
        if payload is not None:
            return payload
    whole = {"frames": found, "discarded": receiver.discarded}
    findings = diagnosis.findings()
    if findings:
        whole["diagnosis"] = [{"finding": name, "number": number} for name, number in findings]
        if findings[0][0] == TEXT:
            whole["readouts"] = readouts(data)
    return whole


def readouts(data):
    """The text readouts (IEC 62056-21) in `data`, each as `readout_document` shows it."""
    receiver = D0Receiver()
    receiver.feed(data)
    found = []
    while True:
        event = receiver.next_event()
        if event is None:
            return found
        if event.kind == READOUT:
            found.append(readout_document(event.data))


def readout_document(readout):
    """One D0Readout as plain data; value is exact decimal text."""
    return {
        "offset": readout.offset,
        "length": readout.length,
        "manufacturer": readout.manufacturer,
        "identification": readout.identification,
        "checked": readout.checked,
        "entries": [
            {
                "name": entry.name,
                "obis": None if entry.obis is None else _obis(entry.obis),
                "raw": entry.raw,
                "scaler": entry.scaler,
                "unit": entry.unit,
                "value": None if entry.raw is None else decimal_text(entry.raw, entry.scaler),
                "text": entry.text,
            }
            for entry in readout.entries
        ],
    }


def _fetch(receiver, found):
    reasons = []  # of messages refused in the frame that comes behind them
    while True:
        event = receiver.next_event()
        if event is None:
            return
        if event.kind == FRAME:
            found.append(frame_document(event.data, reasons))
            reasons = []
        elif event.data == "message crc":
            reasons.append(event.data)
        elif event.data in FRAME_DISCARDS:
            found.append(_broken(event))


def _payload_document(data):
    frame, reasons = read_payload(data)
    if not frame.messages:
        return None
    discarded = {}
    for reason in reasons:
        discarded[reason] = discarded.get(reason, 0) + 1
    return {"frames": [frame_document(frame, reasons)], "discarded": discarded}


def frame_document(frame, reasons=()):
    """One SmlFrame as `document` shows it; reasons: why messages in it were refused."""
    shown = {
        "offset": frame.offset,
        "length": frame.length,
        "crc": frame.crc,
        "valid": True,
        "reason": None,
        "server_id": _hex(frame.server_id),
        "list_name": _hex(frame.list_name),
        "sensor_time": _time(frame.sensor_time),
        "gateway_time": _time(frame.gateway_time),
        "signature": _hex(frame.signature),
        "quirks": list(frame.quirks) + _frame_forms(frame, reasons),
        "refused": frame.refused,
        "entries": [_entry(entry) for entry in frame.entries],
    }
    if frame.bodies:
        shown["bodies"] = [_body(body) for body in frame.bodies]
    return shown


def _broken(event):
    return {
        "offset": event.offset,
        "length": event.length,
        "crc": "bad" if event.data == "crc" else None,
        "valid": False,
        "reason": event.data,
        "server_id": None,
        "list_name": None,
        "sensor_time": None,
        "gateway_time": None,
        "signature": None,
        "quirks": [LENGTH_NOT_MULTIPLE_OF_4] if event.data == "crc" and event.length % 4 else [],
        "refused": 0,
        "entries": [],
    }


def _entry(entry):
    number = isinstance(entry.raw, int) and not isinstance(entry.raw, bool)
    return {
        "obis": _obis(entry.obis),
        "raw": _plain(entry.raw),
        "raw_sent": _plain(entry.raw_sent),
        "scaler": entry.scaler,
        "unit": entry.unit,
        "value": decimal_text(entry.raw, entry.scaler or 0) if number else None,
        "status": entry.status,
        "val_time": _time(entry.val_time),
        "text": _text(entry.raw),
        "quirks": list(entry.quirks) + _entry_forms(entry),
    }


def _frame_forms(frame, reasons):
    found = [LIST_WITH_TWO_BYTE_TL] if len(frame.entries) > 15 else []
    return found + ([MESSAGE_CRC_BAD] if "message crc" in reasons else [])


def _entry_forms(entry):
    found = []
    if entry.raw is None:
        found.append(ENTRY_WITHOUT_VALUE)
    elif isinstance(entry.raw, tuple):
        found.append(TIME_AS_VALUE)
    if entry.val_time is not None and entry.val_time[0] == _LOCAL:
        found.append(VAL_TIME_LOCAL)
    return found


def _obis(name):
    if name is None or len(name) != 6:
        return _hex(name)
    return "{}-{}:{}.{}.{}*{}".format(*name)


def _body(body):
    """A message as plain data: its fields, of entries those that a value list has."""
    shown = {name: _any(value) for name, value in sorted(body.__dict__.items())}
    shown["tag"] = "%04x" % (body.tag or 0)
    if body.tag == ATTENTION:
        shown["meaning"] = attention_text(body.number)
        shown["text"] = None if body.text is None else str(_printable(body.text), "ascii")
    return {name: value for name, value in shown.items() if value not in (None, [], {})}


def _any(value):
    if isinstance(value, SmlEntry):
        return _entry(value)
    if isinstance(value, SmlTree):
        return {
            "name": _obis(value.name),
            "value": _any(value.value),
            "children": [_any(child) for child in value.children],
        }
    if isinstance(value, list):
        return [_any(part) for part in value]
    if isinstance(value, tuple) and value and isinstance(value[-1], (bytes, type(None))):
        return [_any(part) for part in value]  # a row of a profile
    return _plain(value)


def _printable(data):
    return bytes([byte if 0x20 <= byte < 0x7F else 0x3F for byte in data])


def decimal_text(raw, scaler):
    """raw * 10**scaler, exact, in plain digits; decimals as many as the scaler tells."""
    if scaler >= 0:
        return str(raw * 10**scaler)
    digits = str(abs(raw))
    digits = "0" * (1 - scaler - len(digits)) + digits
    return ("-" if raw < 0 else "") + digits[:scaler] + "." + digits[scaler:]


def _plain(raw):
    if isinstance(raw, bytes):
        return _hex(raw)
    return _time(raw) if isinstance(raw, tuple) else raw


def _time(time):
    if time is None:
        return None
    choice, number = time
    return [choice or "bare", list(number) if isinstance(number, tuple) else number]


def _text(raw):
    if isinstance(raw, bytes) and all(0x20 <= byte < 0x7F for byte in raw):
        return str(raw, "ascii")
    return None


def _hex(data):
    return None if data is None else data.hex()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(sys.stdin.buffer.read())))
