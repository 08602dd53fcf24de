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
        10: "update",
    }
    assert [record.EVENT_NAMES[event] for event in record.ENDS] == [
        "end",
        "failsafe",
        "tamper",
        "power-fail",
    ]


def test_numbers_of_every_width_stand_as_in_any_map():
    edges = [0, 23, 24, 255, 256, 65535, 65536, (1 << 32) - 1, 1 << 32, (1 << 60) - 1, 1 << 60]
    for number in edges:
        for other in (number, T_MS, None):
            values = [(OBIS, number, 0, 30), (OBIS, -1 - number, -3, 27), (bytes(6), 5, 1, 30)]
            if other is None:
                values = values[:1]
            given = reading(values=values, captured_ms=other, bound_ms=number, status=number)
            for text in ("", "x", "y" * 23, "z" * 24, "\u00e4" * 32, "w" * 64):
                made = record.encode(
                    number, 16, IDENTITY, given, PREVIOUS, UUID, 2, text, number, other, number
                )
                fields = {1: number, 2: 16, 3: UUID, 4: 2, 5: text}
                fields.update({6: IDENTITY[0], 7: IDENTITY[1], 8: values, 9: other, 10: number})
                fields.update({11: [1, number], 12: number, 13: PREVIOUS, 14: other, 15: number})
                for key in (5, 9, 14, 15):
                    if fields[key] is None or key in (5, 15) and not fields[key]:
                        del fields[key]
                assert made == cbor.encode(fields), (number, other, text)


def test_what_is_kept_encoded_is_that_of_this_identity_and_these_quantities():
    for count in range(1, 20):
        values = [(bytes((1, 0, n, 8, 0, 255)), n, n % 3 - 1, 27 + n % 4) for n in range(count)]
        for scaler in (0, -2):
            values[0] = (values[0][0], 1, scaler, 30 + scaler)
            who = ("ETST%010d" % count, "1EAS%010d" % scaler)
            made = cbor.decode(record.encode(1, 7, who, reading(values=values), PREVIOUS))
            assert made[record.VALUES] == [list(value) for value in values]
            assert (made[record.CLS_ID], made[record.METER_ID]) == who
