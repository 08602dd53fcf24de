"""The device record: CBOR map with the keys of `docs/wire.cddl`.

Knows neither seal nor journal. Fields that do not apply are left out.
"""

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

ENDS = (END, FAILSAFE, TAMPER, POWER_FAIL)  # events that close a transaction
MAX_TEXT = 64

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
    # written straight down, in the order of the keys: a map built and sorted takes twice as long
    put = cbor.put
    out = bytearray(1)
    count = 0
    for key, value in (
        (SEQ, seq),
        (TAF, taf),
        (UUID, uuid),
        (EVENT, event),
        (TEXT, text or None),
        (CLS_ID, identity[0]),
        (METER_ID, identity[1]),
        (VALUES, reading.values),
        (CAPTURED_MS, reading.captured_ms),
        (EVENT_MS, event_ms),
        (TIME_STATE, (reading.time_state, reading.bound_ms)),
        (STATUS, reading.status),
        (PREVIOUS, previous),
        (FIRST_DUE_MS, first_due_ms),
        (CAUSE, cause or None),
    ):
        if value is not None:
            out.append(key)
            put(out, value)
            count += 1
    out[0] = 0xA0 | count
    return bytes(out)
