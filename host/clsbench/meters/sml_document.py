"""What the device's SML reader makes of captured bytes, as plain data for JSON.

Runs on CPython and, as a script, in the device's interpreter: bytes on stdin, one JSON text
on stdout. Knows no files and no options. MicroPython subset.
"""

import json
import sys

from dicamm.proto.sml import FRAME, SmlReceiver, read_payload
from dicamm.proto.sml_transport import FRAME_DISCARDS

_CHUNK = 64


def document(data):
    """The frames in `data`, good and broken, in order, and the counts of what was discarded.

    {"frames": [...], "discarded": {reason: number}}. A frame: offset, length, crc ("x25",
    "kermit", "bad", None), valid, reason (of a broken one), server_id (hex), sensor_time,
    quirks, refused (messages), entries. Bytes without any transport are tried as messages.
    """
    receiver = SmlReceiver()
    found = []
    for at in range(0, len(data), _CHUNK):
        receiver.feed(data[at : at + _CHUNK])
        _fetch(receiver, found)
    receiver.finish()
    _fetch(receiver, found)
    if not found and data:
        payload = _payload_document(data)
        if payload is not None:
            return payload
    return {"frames": found, "discarded": receiver.discarded}


def _fetch(receiver, found):
    while True:
        event = receiver.next_event()
        if event is None:
            return
        if event.kind == FRAME:
            found.append(frame_document(event.data))
        elif event.data in FRAME_DISCARDS:
            found.append(_broken(event))


def _payload_document(data):
    frame, reasons = read_payload(data)
    if not frame.messages:
        return None
    discarded = {}
    for reason in reasons:
        discarded[reason] = discarded.get(reason, 0) + 1
    return {"frames": [frame_document(frame)], "discarded": discarded}


def frame_document(frame):
    """One SmlFrame as `document` shows it."""
    return {
        "offset": frame.offset,
        "length": frame.length,
        "crc": frame.crc,
        "valid": True,
        "reason": None,
        "server_id": _hex(frame.server_id),
        "sensor_time": _time(frame.sensor_time),
        "quirks": list(frame.quirks),
        "refused": frame.refused,
        "entries": [_entry(entry) for entry in frame.entries],
    }


def _broken(event):
    return {
        "offset": event.offset,
        "length": event.length,
        "crc": "bad" if event.data == "crc" else None,
        "valid": False,
        "reason": event.data,
        "server_id": None,
        "sensor_time": None,
        "quirks": [],
        "refused": 0,
        "entries": [],
    }


def _entry(entry):
    number = isinstance(entry.raw, int) and not isinstance(entry.raw, bool)
    return {
        "obis": "{}-{}:{}.{}.{}*{}".format(*entry.obis),
        "raw": _plain(entry.raw),
        "raw_sent": _plain(entry.raw_sent),
        "scaler": entry.scaler,
        "unit": entry.unit,
        "value": decimal_text(entry.raw, entry.scaler) if number else None,
        "status": entry.status,
        "val_time": _time(entry.val_time),
        "text": _text(entry.raw),
        "quirks": list(entry.quirks),
    }


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
