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
}


def encode(seq, taf, identity, reading, previous, uuid=None, event=None, text=None, event_ms=None):
    """The payload of a record.

    identity: (cls_id, meter_id). reading: `reading.Reading`, its values are
    [obis, raw, scaler, unit]. previous: the first 8 bytes of SHA-256 of the sealed record
    before, zeros for the first. event_ms: see EVENT_MS.
    """
    fields = {
        SEQ: seq,
        TAF: taf,
        CLS_ID: identity[0],
        METER_ID: identity[1],
        VALUES: [list(value) for value in reading.values],
        TIME_STATE: [reading.time_state, reading.bound_ms],
        STATUS: reading.status,
        PREVIOUS: previous,
    }
    if reading.captured_ms is not None:
        fields[CAPTURED_MS] = reading.captured_ms
    if uuid is not None:
        fields[UUID] = uuid
    if event is not None:
        fields[EVENT] = event
    if text:
        fields[TEXT] = text
    if event_ms is not None:
        fields[EVENT_MS] = event_ms
    return cbor.encode(fields)
