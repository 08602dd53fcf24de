"""The device record: CBOR map with the keys of `docs/wire.cddl`.

Knows neither seal nor journal. Fields that do not apply are left out.
"""

from struct import pack

from dicamm.proto import cbor

SEQ = 1
TAF = 2
UUID = 3
EVENT = 4
TEXT = 5
CLS_ID = 6
METER_ID = 7
VALUES = 8
CAPTURED_MS = 9
EVENT_MS = 10  # TAF16: the time the caller gave for the event; TAF7: the due time
TIME_STATE = 11
STATUS = 12
PREVIOUS = 13
FIRST_DUE_MS = 14  # TAF7 without values: the first of the missing due times, if not the last
CAUSE = 15  # why: a number of dicamm.codes; left out where nothing is to be explained

# bits of key 12
NO_VALUES = 1  # the meter gave none; key 9 is the time of the record
STEPPED = 2  # since the record before, the clock was found wrong by more than its bound and set

TAF7 = 7
TAF16 = 16

# events of a TAF16 record
BEGIN = 1
END = 2
CHANGE = 3
REFUSED = 4
FAILSAFE = 5
TAMPER = 6
POWER_FAIL = 7
BOOT = 8
METER_FAULT = 9
UPDATE = 10

ENDS = (END, FAILSAFE, TAMPER, POWER_FAIL)  # events that close a transaction
MAX_TEXT = 64
_MOST_KINDS = 8  # quantities kept encoded

EVENT_NAMES = {
    BEGIN: "begin",
    END: "end",
    CHANGE: "change",
    REFUSED: "refused",
    FAILSAFE: "failsafe",
    TAMPER: "tamper",
    POWER_FAIL: "power-fail",
    BOOT: "boot",
    METER_FAULT: "meter-fault",
    UPDATE: "update",
}


def encode(
    seq,
    taf,
    identity,
    reading,
    previous,
    uuid=None,
    event=None,
    text=None,
    event_ms=None,
    first_due_ms=None,
    cause=0,
):
    """The payload of a record.

    identity: (cls_id, meter_id). reading: `reading.Reading`, its values are
    [obis, raw, scaler, unit]. previous: the first 8 bytes of SHA-256 of the sealed record
    before, zeros for the first. event_ms, first_due_ms, cause: see EVENT_MS and those behind.
    """
    # written straight down, in the order of the keys: what never changes is encoded once
    uint = cbor.uint
    count = 8
    parts = [b""]
    add = parts.append
    if uuid is not None:
        count += 1
        add(b"\x03\x50" + uuid if len(uuid) == 16 else b"\x03" + cbor.encode(uuid))
    if event is not None:
        count += 1
        add(bytes((EVENT, event)))
    if text:
        count += 1
        add(b"\x05" + cbor.text(text))
    values = reading.values
    size = len(values)
    add(identity is _identity and size == _size and _names or _named(identity, size))
    for obis, raw, scaler, unit in values:
        known = _kinds.get(obis)
        if known is None or known[0] != scaler or known[1] != unit:
            known = _kind(obis, scaler, unit)
        add(known[2])
        add(uint(raw))
        add(known[3])
    moment = reading.captured_ms
    state = reading.time_state
    if moment and event_ms and 0xFFFFFFFF < moment < 1 << 60 and 0xFFFFFFFF < event_ms < 1 << 60:
        count += 2
        add(pack(">BBQBBQBBB", 9, 0x1B, moment, 10, 0x1B, event_ms, 11, 0x82, state))
    else:
        if moment is not None:
            count += 1
            add(b"\x09" + uint(moment))
        if event_ms is not None:
            count += 1
            add(b"\x0a" + uint(event_ms))
        add(bytes((TIME_STATE, 0x82, state)))
    bound_ms = reading.bound_ms
    add(b"\xf6" if bound_ms is None else uint(bound_ms))
    status = reading.status
    add(b"\x0c\x00\x0d\x48" if status == 0 else b"\x0c" + uint(status) + b"\x0d\x48")
    add(previous)
    if first_due_ms is not None:
        count += 1
        add(b"\x0e" + uint(first_due_ms))
    if cause:
        count += 1
        add(b"\x0f" + uint(cause))
    if 255 < seq < 65536:
        parts[0] = bytes((0xA0 | count, SEQ, 0x19, seq >> 8, seq & 0xFF, TAF, taf))
    else:
        parts[0] = bytes((0xA0 | count, SEQ)) + uint(seq) + bytes((TAF, taf))
    return b"".join(parts)


_identity = None  # of _names
_size = 0
_names = b""
_kinds = {}  # OBIS code -> (scaler, unit, encoded up to the raw value, encoded behind it)


def _named(identity, size):
    """Keys 6 and 7, and key 8 up to its `size` values."""
    global _identity, _size, _names
    out = bytearray((CLS_ID,))
    cbor.put(out, identity[0])
    out.append(METER_ID)
    cbor.put(out, identity[1])
    out.append(VALUES)
    cbor.put_head(out, 4, size)
    _identity, _size, _names = identity, size, bytes(out)
    return _names


def _kind(obis, scaler, unit):
    """What stands around the raw value of a quantity."""
    if len(_kinds) >= _MOST_KINDS:
        _kinds.clear()
    before = b"\x84" + cbor.encode(obis)
    _kinds[obis] = known = (scaler, unit, before, cbor.encode(scaler) + cbor.encode(unit))
    return known
