"""Register maps: grouping into reads, and bytes into exact integers. Both interpreters."""

from dicamm.metering.meter import (
    CUT,
    NOT_DECIMAL,
    NOT_FINITE,
    TOO_LARGE,
    UNDEFINED,
    BadProfile,
    MeterProfile,
    f32_scaled,
    scaled,
)
from dicamm.metering.reading import Reading

IMPORT = b"\x01\x00\x01\x08\x00\xff"  # 1-0:1.8.0
EXPORT = b"\x01\x00\x02\x08\x00\xff"  # 1-0:2.8.0
POWER = b"\x01\x00\x10\x07\x00\xff"  # 1-0:16.7.0
VOLTAGE = b"\x01\x00\x20\x07\x00\xff"  # 1-0:32.7.0

# rows: obis, address, function, type, low word first, unit, scaler, scale
FLOATS = [
    ["0100200700ff", 0x0000, 4, "f32", 0, 35, -1, 0],
    ["0100100700ff", 0x0034, 4, "f32", 0, 27, -1, 0],
    ["0100010800ff", 0x0048, 4, "f32", 0, 30, 1, 3],  # kWh in steps of 0.01, given in 10 Wh
    ["0100020800ff", 0x004A, 4, "f32", 0, 30, 1, 3],
]


def profile(rows, **more):
    data = {"model": "m", "max_registers": 80, "max_gap": 34, "registers": rows}
    data.update(more)
    return MeterProfile(data)


def one(kind, payload, low_word_first=0, scaler=0, scale=0, undefined=0):
    row = ["0100010800ff", 0, 3, kind, low_word_first, 30, scaler, scale]
    meter = profile([row], undefined=undefined)
    values = meter.decode(3, 0, bytes.fromhex(payload))
    return values[0][1] if values else meter.last_refused[0][1]


def test_energy_in_kwh_becomes_an_integer_in_ten_wh():
    # 1234.56 kWh as float32: 0x449A51EC = 1234.56005859375
    values = profile(FLOATS).decode(4, 0x48, bytes.fromhex("449A51EC00000000"))
    assert values == [(IMPORT, 123456, 1, 30), (EXPORT, 0, 1, 30)]


def test_power_keeps_its_sign():
    # -1919.7 W: 0xC4EFF666 = -1919.699951171875
    values = profile(FLOATS).decode(4, 0x34, memoryview(bytes.fromhex("C4EFF666")))
    assert values == [(POWER, -19197, -1, 27)]


def test_every_hundredth_of_a_kwh_survives_the_float():
    # below 2**17 kWh a float step is at most 1/128, finer than 0.01
    bits_and_hundredths = (
        (0x3C23D70A, 1),  # 0.01
        (0x3CA3D70A, 2),
        (0x3CF5C28F, 3),
        (0x3DCCCCCD, 10),
        (0x412028F6, 1001),  # 10.01
        (0x461C4029, 1000004),  # 10000.04 as 10000.0400390625
        (0x47C34F85, 9999904),  # 99999.04 as 99999.0390625
        (0x47FFFFFE, 13107198),  # 131071.984375, the last but one float below 2**17
    )
    for bits, hundredths in bits_and_hundredths:
        assert f32_scaled(bits, 2) == hundredths, hex(bits)


def test_float_edges():
    assert f32_scaled(0x00000000, 2) == 0
    assert f32_scaled(0x80000000, 2) == 0  # -0
    assert f32_scaled(0x00000001, 2) == 0  # smallest subnormal, 2**-149
    assert f32_scaled(0x007FFFFF, 2) == 0  # largest subnormal
    assert f32_scaled(0x80000001, 2) == 0
    assert f32_scaled(0x4B800000, 0) == 16777216
    assert f32_scaled(0x4B800001, 0) == 16777218
    assert f32_scaled(0x4B7FFFFF, 0) == 16777215
    assert f32_scaled(0x3F800000, 2) == 100
    assert f32_scaled(0xBF800000, 3) == -1000
    assert f32_scaled(0x7F7FFFFF, 0) == 0xFFFFFF << 104  # largest finite


def test_smallest_subnormal_is_exact_where_the_scale_reaches_it():
    # 2**-149 * 10**45 = 1.401...
    assert f32_scaled(0x00000001, 45) == 1
    assert f32_scaled(0x80000001, 46) == -14


def test_not_a_number_and_infinity_are_refused():
    for bits in (0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF):
        assert f32_scaled(bits, 2) is None
    meter = profile(FLOATS)
    assert meter.decode(4, 0x48, bytes.fromhex("7FC000003F800000")) == [(EXPORT, 100, 1, 30)]
    assert meter.last_refused == [(IMPORT, NOT_FINITE)]
    meter.decode(4, 0x48, bytes.fromhex("7F800000"))
    assert meter.refused == {NOT_FINITE: 2}


def test_huge_float_is_refused_rather_than_carried():
    assert one("f32", "7F7FFFFF") == TOO_LARGE
    assert one("f32", "5F000000") == TOO_LARGE  # 2**63
    assert one("f32", "5EFFFFFF") == 0xFFFFFF << 39  # the float below


def test_ties_go_away_from_zero():
    assert f32_scaled(0x3F000000, 0) == 1  # 0.5
    assert f32_scaled(0xBF000000, 0) == -1
    assert f32_scaled(0x40200000, 0) == 3  # 2.5
    assert f32_scaled(0x3EFFFFFF, 0) == 0  # just below 0.5
    assert scaled(125, 0, -1) == 13 and scaled(-125, 0, -1) == -13 and scaled(124, 0, -1) == 12


def test_integers_of_every_width_and_word_order():
    assert one("u16", "FFFE") == 65534
    assert one("i16", "FFFE") == -2
    assert one("u32", "00010002") == 65538
    assert one("u32", "00020001", low_word_first=1) == 65538
    assert one("i32", "FFFFFFFF") == -1
    assert one("i32", "FFFEFFFF", low_word_first=1) == -2
    assert one("u64", "0000000100000000") == 1 << 32
    assert one("i64", "FFFFFFFFFFFFFF00") == -256
    assert one("i64", "0001000000000000", low_word_first=1) == 1
    assert one("f32", "000043A8", low_word_first=1) == 336


def test_unsigned_beyond_long64_is_refused():
    assert one("u64", "8000000000000000") == TOO_LARGE
    assert one("u64", "7FFFFFFFFFFFFFFF") == 0x7FFFFFFFFFFFFFFF


def test_doubles_are_exact_beyond_any_float_of_a_board():
    assert one("f64", "419D6F3454400000") == 123456789  # 123456789.0625
    assert one("f64", "419D6F3454400000", scaler=-4) == 1234567890625
    assert one("f64", "C19D6F3454400000", scaler=-4) == -1234567890625
    assert one("f64", "4340000000000001") == 9007199254740994  # 2**53 + 2
    assert one("f64", "3FE0000000000000") == 1  # 0.5
    assert one("f64", "0000000000000001") == 0  # 2**-1074
    assert one("f64", "8000000000000000") == 0  # -0
    assert one("f64", "000054406F34419D", low_word_first=1) == 123456789


def test_doubles_that_no_record_can_carry_are_refused():
    for bits in ("7FF0000000000000", "FFF0000000000000", "7FF8000000000000", "FFFFFFFFFFFFFFFF"):
        assert one("f64", bits) == NOT_FINITE
    for bits in ("7FEFFFFFFFFFFFFF", "43E0000000000000"):  # largest finite, 2**63
        assert one("f64", bits) == TOO_LARGE
    assert one("f64", "43DFFFFFFFFFFFFF") == 0x7FFFFFFFFFFFFC00


def test_decimal_digits_in_four_bits():
    assert one("bcd16", "1234") == 1234
    assert one("bcd32", "00009999") == 9999
    assert one("bcd32", "56781234", low_word_first=1) == 12345678
    assert one("bcd64", "9999999999999999") == 9999999999999999
    for payload in ("000A", "A000", "FFFF"):
        assert one("bcd16", payload) == NOT_DECIMAL


def test_sign_and_magnitude():
    assert one("sm16", "8001") == -1
    assert one("sm16", "8000") == 0
    assert one("sm16", "7FFF") == 32767
    assert one("sm32", "80000102") == -258
    assert one("sm32", "01028000", low_word_first=1) == -258
    assert one("sm64", "FFFFFFFFFFFFFFFF") == -0x7FFFFFFFFFFFFFFF


def odd(kind, payload, no_value, above, below, scaler=0):
    row = ["0100010800ff", 0, 3, kind, 0, 30, scaler, 0, no_value, above, below]
    meter = profile([row])
    values = meter.decode(3, 0, bytes.fromhex(payload))
    return values[0][1] if values else meter.last_refused[0][1]


def test_odd_steps_become_the_nearest_integer():
    assert odd("u16", "0003", None, 5, 4) == 4  # 3.75
    assert odd("u16", "0002", None, 5, 4) == 3  # 2.5, away from zero
    assert odd("i16", "FFFE", None, 5, 4) == -3
    assert odd("u16", "0003", None, 5, 4, scaler=-2) == 375
    assert odd("f32", "40400000", None, 1, 3) == 1  # 3 / 3
    assert odd("u32", "FFFFFFFF", None, 1000000, 1) == 4294967295000000


def test_a_register_may_have_a_pattern_of_its_own_for_no_value():
    assert odd("u16", "8000", 0x8000, 1, 1) == UNDEFINED
    assert odd("u16", "FFFF", 0x8000, 1, 1) == 65535
    assert odd("f32", "FF7FFFFF", 0xFF7FFFFF, 1, 1) == UNDEFINED
    assert odd("i64", "8000000000000000", 1 << 63, 1, 1) == UNDEFINED


def test_faulty_factors_are_refused():
    good = ["0100010800ff", 0, 3, "u16", 0, 30, 0, 0]
    for more in ([None, 0, 1], [None, 1, 0], [None, 1, 1000001], [None, 1], [None, "1", 1]):
        try:
            profile([good + more])
        except BadProfile:
            continue
        raise AssertionError(more)


def test_scale_and_scaler_are_powers_of_ten():
    assert one("u32", "0000002A", scaler=1, scale=1) == 42  # 0.01 kWh counts, given in 10 Wh
    assert one("u32", "0000002A", scaler=0, scale=3) == 42000  # kWh counts, given in Wh
    assert one("u32", "0000002A", scaler=1, scale=0) == 4  # 42 Wh to the nearest 10 Wh


def test_pattern_for_no_value_is_refused_where_the_meter_has_one():
    for kind, payload in (
        ("u16", "FFFF"),
        ("i16", "7FFF"),
        ("u32", "FFFFFFFF"),
        ("i32", "7FFFFFFF"),
        ("u64", "FFFFFFFFFFFFFFFF"),
        ("i64", "7FFFFFFFFFFFFFFF"),
    ):
        assert one(kind, payload, undefined=1) == UNDEFINED
    assert one("u16", "FFFF") == 65535
    assert one("i16", "FFFF", undefined=1) == -1


def test_payload_that_ends_inside_a_value_is_told():
    meter = profile(FLOATS)
    for length in (1, 2, 3):
        assert meter.decode(4, 0x48, b"\x44\x9a\x51\xec"[:length]) == []
        assert meter.last_refused == [(IMPORT, CUT)]
    assert meter.decode(4, 0x48, b"") == [] and meter.last_refused == []
    assert meter.refused == {CUT: 3}


def test_other_function_or_range_gives_nothing():
    meter = profile(FLOATS)
    assert meter.decode(3, 0x48, bytes(8)) == []
    assert meter.decode(4, 0x49, bytes(2)) == []
    assert meter.decode(4, 0x60, bytes(80)) == []


def test_plan_takes_the_fewest_reads():
    meter = profile(FLOATS)
    assert meter.plan([IMPORT]) == [(4, 0x48, 2)]
    assert meter.plan([EXPORT, IMPORT]) == [(4, 0x48, 4)]
    assert meter.plan([IMPORT, POWER]) == [(4, 0x34, 22)]
    assert meter.plan([VOLTAGE, IMPORT]) == [(4, 0, 2), (4, 0x48, 2)]  # the gap is too wide
    assert meter.plan([VOLTAGE, IMPORT], 80, 80) == [(4, 0, 74)]
    assert meter.plan([VOLTAGE, IMPORT], 73, 80) == [(4, 0, 2), (4, 0x48, 2)]
    assert meter.plan([IMPORT, EXPORT], 2) == [(4, 0x48, 2), (4, 0x4A, 2)]
    assert meter.plan([IMPORT, POWER], 80, 0) == [(4, 0x34, 2), (4, 0x48, 2)]
    assert meter.plan([]) == []
    assert meter.plan([VOLTAGE, EXPORT], 80, 50) == [(4, 0, 76)]  # listed ones between count not
    assert meter.plan([POWER, EXPORT], 80, 18) == [(4, 0x34, 24)]
    assert meter.plan([POWER, EXPORT], 80, 17) == [(4, 0x34, 2), (4, 0x4A, 2)]


def test_what_is_not_kept_is_neither_decoded_nor_planned():
    meter = profile(FLOATS)
    meter.keep([IMPORT])
    assert meter.obis_codes == [IMPORT]
    assert [value[0] for value in meter.decode(4, 0x48, bytes(4))] == [IMPORT]
    assert meter.plan([IMPORT]) == [(4, 0x48, 2)]


def test_plan_never_joins_functions():
    rows = [
        ["0100010800ff", 0, 3, "u32", 0, 30, 0, 0],
        ["0100020800ff", 2, 4, "u32", 0, 30, 0, 0],
    ]
    assert profile(rows).plan([IMPORT, EXPORT]) == [(3, 0, 2), (4, 2, 2)]


def test_plan_refuses_what_the_meter_does_not_give():
    meter = profile(FLOATS)
    for obis, limit in ((b"\x01\x00\x63\x07\x00\xff", 80), (IMPORT, 1)):
        try:
            meter.plan([obis], limit)
        except ValueError:
            continue
        raise AssertionError(obis)


def test_every_planned_read_decodes_to_what_was_asked():
    meter = profile(FLOATS)
    found = []
    for function, address, count in meter.plan(meter.obis_codes):
        found += [value[0] for value in meter.decode(function, address, bytes(2 * count))]
    assert sorted(found) == sorted(meter.obis_codes)


def test_faulty_maps_are_refused_with_the_place():
    good = FLOATS[0]
    for at, value in (
        (0, "0100"),
        (0, "zz00200700ff"),
        (1, 0xFFFF),
        (1, -1),
        (1, None),
        (2, 6),
        (3, "f16"),
        (5, 256),
        (6, 13),
        (7, -13),
    ):
        row = list(good)
        row[at] = value
        try:
            profile([row])
        except BadProfile as error:
            assert "register" in str(error)
            continue
        raise AssertionError((at, value))
    for data in ({}, {"registers": [good[:7]]}, {"registers": [good], "max_registers": 126}):
        try:
            MeterProfile(data)
        except ValueError:
            continue
        raise AssertionError(data)


def test_reading_finds_its_values():
    values = profile(FLOATS).decode(4, 0x48, bytes.fromhex("449A51EC"))
    reading = Reading(values, 1700000000000, 5000, 0, 1, 20)
    assert reading.value(IMPORT) == (123456, 1, 30)
    assert reading.value(EXPORT) is None
    assert (reading.captured_ms, reading.captured_mono_ms) == (1700000000000, 5000)
    assert (reading.status, reading.time_state, reading.bound_ms) == (0, 1, 20)
