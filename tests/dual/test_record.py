"""The device record byte by byte, as `docs/wire.cddl` has it."""

from dicamm.metering import record
from dicamm.metering.legal_time import LegalTime
from dicamm.metering.reading import Reading, taken
from dicamm.proto import cbor

UUID = bytes(range(16))
OBIS = bytes((1, 0, 1, 8, 0, 255))
IDENTITY = ("ETST0020000017", "1EAS0012345678")
PREVIOUS = bytes(range(0xA0, 0xA8))
T_MS = 1777882500000  # 0x19df20e0ba0, 2026-05-04 08:15:00 UTC

CLS_ID_HEX = "06 6e 4554535430303230303030303137"
METER_ID_HEX = "07 6e 3145415330303132333435363738"
VALUES_HEX = "08 81 84 46 0100010800ff 1a 0001e240 01 18 1e"  # [[1-0:1.8.0*255, 123456, 1, 30]]


def spelt(*parts):
    """The bytes of hexadecimal parts, for the eye one field to a part."""
    return bytes.fromhex("".join("".join(parts).split()))


def reading(**changed):
    fields = {
        "values": [(OBIS, 123456, 1, 30)],
        "captured_ms": T_MS,
        "captured_mono_ms": 5000,
        "status": 0,
        "time_state": 1,
        "bound_ms": 250,
    }
    fields.update(changed)
    return Reading(**fields)


def test_a_begin_holds_every_field_in_order():
    made = record.encode(
        7, 16, IDENTITY, reading(), PREVIOUS, UUID, record.BEGIN, "wind", T_MS - 1
    )
    assert made == spelt(
        "ad",  # a map of thirteen
        "01 07",
        "02 10",
        "03 50 000102030405060708090a0b0c0d0e0f",
        "04 01",
        "05 64 77696e64",
        CLS_ID_HEX,
        METER_ID_HEX,
        VALUES_HEX,
        "09 1b 0000019df20e0ba0",
        "0a 1b 0000019df20e0b9f",
        "0b 82 01 18fa",
        "0c 00",
        "0d 48 a0a1a2a3a4a5a6a7",
    )


def test_a_quarter_hour_leaves_out_what_does_not_apply():
    made = record.encode(1, 7, IDENTITY, reading(), bytes(8), event_ms=T_MS)
    assert made == spelt(
        "aa",  # a map of ten
        "01 01",
        "02 07",
        CLS_ID_HEX,
        METER_ID_HEX,
        VALUES_HEX,
        "09 1b 0000019df20e0ba0",
        "0a 1b 0000019df20e0ba0",
        "0b 82 01 18fa",
        "0c 00",
        "0d 48 0000000000000000",
    )


def test_without_time_there_is_no_captured_time_and_no_bound():
    unset = reading(captured_ms=None, time_state=0, bound_ms=None)
    fields = cbor.decode(record.encode(1, 16, IDENTITY, unset, bytes(8), UUID, record.BOOT))
    assert record.CAPTURED_MS not in fields and record.EVENT_MS not in fields
    assert fields[record.TIME_STATE] == [0, None]


def test_an_empty_text_is_left_out():
    for text in ("", None):
        made = record.encode(1, 16, IDENTITY, reading(), bytes(8), UUID, record.END, text)
        assert record.TEXT not in cbor.decode(made)


def test_zero_is_a_value_and_stays():
    bare = reading(captured_ms=0, bound_ms=0, values=[(OBIS, 0, 0, 30)])
    fields = cbor.decode(record.encode(1, 16, IDENTITY, bare, bytes(8), UUID, 2, event_ms=0))
    assert fields[record.CAPTURED_MS] == 0 and fields[record.EVENT_MS] == 0
    assert fields[record.TIME_STATE] == [1, 0]
    assert fields[record.VALUES] == [[OBIS, 0, 0, 30]]


def test_negative_values_and_scalers_and_many_values_stand_as_they_are():
    values = [(OBIS, -5, -3, 27), (OBIS, (1 << 40) + 1, -2, 30), (OBIS, 1, 0, 255)]
    fields = cbor.decode(record.encode(1, 7, IDENTITY, reading(values=values), bytes(8)))
    assert fields[record.VALUES] == [list(value) for value in values]


def test_the_reading_is_left_as_it_was():
    taken = reading()
    record.encode(1, 7, IDENTITY, taken, bytes(8))
    assert taken.values == [(OBIS, 123456, 1, 30)]
    assert taken.value(OBIS) == (123456, 1, 30)
    assert taken.value(bytes(6)) is None


def test_missing_quarter_hours_are_a_range_without_values_and_with_a_cause():
    nothing = reading(values=[], status=record.NO_VALUES)
    made = record.encode(
        1, 7, IDENTITY, nothing, bytes(8), event_ms=T_MS, first_due_ms=T_MS - 900000, cause=20
    )
    assert made == spelt(
        "ac",  # a map of twelve
        "01 01",
        "02 07",
        CLS_ID_HEX,
        METER_ID_HEX,
        "08 80",
        "09 1b 0000019df20e0ba0",
        "0a 1b 0000019df20e0ba0",
        "0b 82 01 18fa",
        "0c 01",
        "0d 48 0000000000000000",
        "0e 1b 0000019df2005000",
        "0f 14",
    )


def test_a_reading_without_values_says_so_and_when_it_was_not_taken():
    time = LegalTime()
    assert taken([], time, 5).captured_ms is None and taken([], time, 5).time_state == 0
    time.learn(T_MS, 9, 1000, 1000)
    nothing = taken([], time, 3000)
    assert (nothing.captured_ms, nothing.bound_ms) == (T_MS + 2000, 11)
    assert nothing.status == record.NO_VALUES and nothing.time_state == 1
    assert taken([(OBIS, 1, 0, 30)], time, 3000).status == 0


def test_the_largest_record_fits_in_its_slot():
    """Seal of 32 bytes, key id of 14, the longest text, three values of eight bytes."""
    values = [(OBIS, 1 << 62, -3, 255)] * 3
    last = 253402300799999
    made = record.encode(
        (1 << 32) - 1,
        16,
        IDENTITY,
        reading(values=values, captured_ms=last, bound_ms=last, status=(1 << 64) - 1),
        bytes(8),
        UUID,
        record.POWER_FAIL,
        "x" * record.MAX_TEXT,
        last,
        cause=255,
    )
    assert len(made) + 62 <= 500  # bytes of a journal slot for the sealed record


def test_every_event_has_its_number_and_name():
    assert record.EVENT_NAMES == {
        1: "begin",
        2: "end",
        3: "change",
        4: "refused",
        5: "failsafe",
        6: "tamper",
        7: "power-fail",
        8: "boot",
        9: "meter-fault",
    }
    assert [record.EVENT_NAMES[event] for event in record.ENDS] == [
        "end",
        "failsafe",
        "tamper",
        "power-fail",
    ]
