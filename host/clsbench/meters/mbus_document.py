"""What the device's M-Bus readers make of captured bytes, as plain data for JSON.

Runs on CPython and, as a script, in the device's interpreter: bytes on stdin, one JSON text on
stdout. Knows no files, no options and no names: quantities and units are the device's numbers,
`mbus_text` turns them into words. MicroPython subset.
"""

import json
import sys

from dicamm.proto import mbus, mbus_codes, mbus_fixed, mbus_profile
from dicamm.proto.mbus_frame import DISCARD, FROM_MASTER, LONG, Event, MbusReceiver

_CHUNK = 256


def document(data):
    """The frames in `data`, good and broken, in order, and the counts of what was discarded.

    {"frames": [...], "discarded": {reason: number}}. A frame: offset, length, kind (1 single
    character, 2 short, 3 long), control, address, and what `telegram_document` says of it. Bytes
    without any frame are told as a broken one, "noise".
    """
    reader = MbusReader()
    found = []
    for at in range(0, len(data), _CHUNK):
        found += reader.feed(data[at : at + _CHUNK])
    found += reader.silence()
    if data and not found:
        found.append(_place(Event(DISCARD, "noise", 0, len(data)), _refused("noise")))
    return {"frames": found, "discarded": reader.discarded}


class MbusReader:
    """Frames of a line as plain data, as they come. discarded: reason -> number."""

    def __init__(self):
        self._receiver = MbusReceiver()
        self.discarded = self._receiver.discarded

    def feed(self, data):
        """The frames that end in these received bytes."""
        self._receiver.feed(data)
        return self._fetch()

    def silence(self):
        """The line fell silent: what is begun and has no end is a broken frame."""
        self._receiver.finish()
        return self._fetch()

    def _fetch(self):
        found = []
        while True:
            event = self._receiver.next_event()
            if event is None:
                return found
            if event.kind != DISCARD:
                found.append(_frame(event))
            elif event.data != "noise":
                found.append(_place(event, _refused(event.data)))


def _frame(event):
    if event.kind != LONG:
        return _place(event, _telegram(None))
    if event.control & FROM_MASTER:
        return _place(event, _refused("from master", event.data[0]))
    return _place(event, telegram_document(event.data))


def _place(event, said):
    said["offset"] = event.offset
    said["length"] = event.length
    said["kind"] = None if event.kind == DISCARD else event.kind
    said["control"] = event.control
    said["address"] = event.address
    return said


def telegram_document(data):
    """What the bytes from the CI field on say.

    valid, error (why it is no reading), ci, code (of an application error or alarm), more
    (a further telegram follows), header (or None), counters (of the fixed structure, or
    None), records.
    """
    telegram = mbus.MbusTelegram(data)
    if telegram.error:
        return _refused(telegram.error, telegram.ci)
    said = _telegram(telegram)
    if telegram.kind == mbus.APPLICATION_ERROR or telegram.kind == mbus.ALARM:
        said["valid"] = telegram.kind == mbus.ALARM
        said["error"] = None if said["valid"] else "application error"
    elif telegram.kind == mbus.FIXED:
        said["counters"] = [
            (unit, raw, data[9 + 4 * place : 13 + 4 * place].hex())
            for place, (unit, raw) in enumerate(mbus_fixed.counters(telegram))
        ]
    else:
        read_records(telegram.records(), said)
    return said


def read_records(records, said):
    """Puts what a cursor finds into said["records"] and ["more"], and its error into ["error"].

    A profile takes its base from the record of the same register before it.
    """
    bases = {}
    while records.next():
        modifiers = mbus_profile.without_profile(records.modifiers())
        register = (
            records.quantity,
            records.unit,
            records.function,
            records.storage,
            records.tariff,
            records.device,
            modifiers,
        )
        said["records"].append(_record(records, bases.get(register)))
        said["more"] = records.kind == mbus_codes.MORE
        bases[register] = records.raw()
    if records.error:
        said["valid"] = False
        said["error"] = records.error
        said["more"] = False
        said["records"] = []


def _telegram(telegram):
    return {
        "valid": True,
        "error": None,
        "ci": telegram and telegram.ci,
        "code": telegram and telegram.code,
        "more": False,
        "header": telegram and _header(telegram),
        "counters": None,
        "records": [],
    }


def _refused(reason, ci=None):
    said = _telegram(None)
    said["valid"] = False
    said["error"] = reason
    said["ci"] = ci
    return said


def _header(telegram):
    if telegram.access is None:
        return None
    return {
        "identification": telegram.identification and telegram.identification.hex(),
        "manufacturer": telegram.manufacturer,
        "version": telegram.version,
        "medium": telegram.medium,
        "access": telegram.access,
        "status": telegram.status,
        "signature": telegram.signature,
    }


def _record(records, base):
    buffer = records.buffer
    profile = mbus_profile.read(records, base)
    return {
        "kind": records.kind,
        "function": records.function,
        "storage": records.storage,
        "tariff": records.tariff if records.extended else None,
        "device": records.device if records.extended else None,
        "quantity": records.quantity,
        "name": records.name(),
        "unit": records.unit,
        "raw": records.raw(),
        "scaler": records.scaler,
        "undefined": records.undefined(),
        "text": records.text(),
        "modifiers": records.modifiers().hex(),
        "dib": bytes(buffer[records.at : records.vib]).hex(),
        "vib": bytes(buffer[records.vib : records.data]).hex(),
        "data": bytes(buffer[records.data : records.end]).hex(),
        "octets": records.octets().hex(),
        "profile": profile and profile.plain(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(sys.stdin.buffer.read())))
