"""Records of M-Bus telegrams: every coding, made from the rules of EN 13757-3.

Runs on CPython and on MicroPython. Each vector is spelled out: DIB, VIB, data.
"""

from dicamm.proto.mbus import (
    ALARM,
    APPLICATION_ERROR,
    FIXED,
    RECORDS,
    MbusTelegram,
)
from dicamm.proto.mbus_codes import (
    BINARY,
    CHARACTERS,
    DATE,
    ENERGY,
    ERROR_STATE,
    MANUFACTURER,
    MORE,
    NO_UNIT,
    NOTHING,
    POINT,
    RAW,
    RESERVED,
    TEXT,
    TIME_POINT,
    UNKNOWN,
    UNREADABLE,
)
from dicamm.proto.mbus_fixed import counters
from dicamm.proto.mbus_records import MbusRecords

WH, W, M3, CELSIUS, SECOND = 30, 27, 13, 9, 7


def walk(text):
    """All records as (quantity, unit, raw, scaler), and the error."""
    data = bytes.fromhex(text)
    records = MbusRecords(data, 0, len(data))
    found = []
    while records.next():
        found.append((records.quantity, records.unit, records.raw(), records.scaler))
    return found, records.error


def first(text):
    """A cursor on the first record."""
    data = bytes.fromhex(text)
    records = MbusRecords(data, 0, len(data))
    assert records.next(), records.error
    return records


def raw(text):
    return first(text).raw()


def test_the_example_of_the_annex():
    telegram = MbusTelegram(
        bytes.fromhex("72 78563412 2440 01 07 55 00 0000 03 13 153100 da02 3b 1301 8b60 04 371802")
    )
    assert telegram.identification == bytes.fromhex("78563412")
    assert (telegram.manufacturer, telegram.version, telegram.medium) == (0x4024, 1, 7)
    assert (telegram.access, telegram.status, telegram.signature) == (0x55, 0, 0)
    records = telegram.records()
    assert records.next()
    assert (records.quantity, records.unit, records.raw(), records.scaler) == (2, M3, 12565, -3)
    assert not records.extended
    assert records.next()
    assert (records.function, records.storage, records.tariff, records.device) == (1, 5, 0, 0)
    assert (records.raw(), records.scaler) == (113, -3)
    assert records.next()
    assert (records.function, records.storage, records.tariff, records.device) == (0, 0, 2, 1)
    assert (records.quantity, records.unit) == (ENERGY, WH)
    assert records.raw() * 10 ** (records.scaler + 3) == 218370 * 10**3 // 1
    assert not records.next() and records.error is None


def test_integers_of_every_width_are_signed():
    assert raw("01 03 ff") == -1 and raw("01 03 7f") == 127
    assert raw("02 03 0080") == -32768 and raw("02 03 ff7f") == 32767
    assert raw("03 03 ffffff") == -1 and raw("03 03 ffff7f") == 8388607
    assert raw("04 03 00000080") == -(2**31)
    assert raw("06 03 ffffffffff7f") == 2**47 - 1
    assert raw("07 03 ffffffffffffff7f") == 2**63 - 1
    assert raw("07 03 feffffffffffffff") == -2


def test_the_number_that_means_no_value_is_known():
    assert first("02 03 0080").undefined() and first("02 03 0080").rounded(0) is None
    assert not first("02 03 0180").undefined()
    assert not first("02 03 8080").undefined()
    assert not first("09 03 80").undefined()


def test_bcd_of_every_width_with_sign():
    assert raw("09 03 42") == 42
    assert raw("0a 03 4512") == 1245
    assert raw("0b 03 563412") == 123456
    assert raw("0c 03 78563412") == 12345678
    assert raw("0e 03 129078563412") == 123456789012
    assert raw("0a 03 45f2") == -245 and raw("09 03 f7") == -7


def test_digits_above_nine_are_no_number():
    for text in ("09 03 4a", "09 03 a4", "0a 03 a512", "0a 03 ff12", "0b 03 5634e2", "09 03 ff"):
        assert raw(text) is None
        assert first(text).rounded(0) is None


def test_reals_are_exact():
    cases = (
        ("00000000", 0, 0),
        ("00000080", 0, 0),
        ("0000803f", 1, 0),
        ("0000c0bf", -15, -1),  # -1.5
        ("0000003e", 125, -3),  # 0.125
        ("000020c1", -10, 0),
        ("cdcccc3d", 100000001490116119384765625, -27),  # the single nearest to 0.1
        ("ffff7f7f", 0xFFFFFF << 104, 0),  # the greatest
    )
    for data, number, scaler in cases:
        records = first("05 2b" + data)
        assert records.unit == W and records.raw() == number
        assert records.scaler == scaler
    for text in ("0000807f", "000080ff", "0000c07f"):
        assert raw("05 2b" + text) is None
    assert first("05 2b 01000000").raw() == 0  # the smallest lies below 10**-38


def test_values_are_rounded_to_the_resolution_asked_for():
    assert first("05 5b cdcccc3d").rounded(-3) == 100
    assert first("04 13 31d40000").rounded(-2) == 5432
    assert first("04 13 35d40000").rounded(-2) == 5433  # 54.325: ties from zero
    assert first("04 13 cb2bffff").rounded(-2) == -5433
    assert first("04 06 01000000").rounded(0) == 1000
    records = first("34 03 01000000")
    assert records.function == ERROR_STATE and records.rounded(0) is None


def test_storage_tariff_and_device_take_bits_from_every_dife():
    records = first("c4 12 03 00000000")
    assert (records.storage, records.tariff, records.device) == (5, 1, 0)
    records = first("84 90 d0 60 03 00000000")
    assert (records.storage, records.tariff, records.device) == (0, 1 | 1 << 2 | 2 << 4, 2 | 4)
    records = first("c4" + "8f" * 9 + "0f" + "03 00000000")
    assert records.storage == 2**41 - 1


def test_tariff_does_not_linger():
    data = bytes.fromhex("8410 03 01000000 04 03 02000000")
    records = MbusRecords(data, 0, len(data))
    assert records.next() and records.tariff == 1 and records.extended
    assert records.next() and records.tariff == 0 and not records.extended


def test_every_range_of_the_main_table():
    cases = (
        ("03", ENERGY, WH, 0),
        ("07", ENERGY, WH, 4),
        ("0e", ENERGY, 25, 6),
        ("16", 2, M3, 0),
        ("1b", 3, 20, 0),
        ("20", 4, SECOND, 0),
        ("23", 4, 4, 0),
        ("25", 5, 6, 0),
        ("28", 6, W, -3),
        ("2f", 6, W, 4),
        ("30", 6, 26, 0),
        ("3e", 7, 15, 0),
        ("5a", 9, CELSIUS, -1),
        ("5f", 10, CELSIUS, 0),
        ("60", 11, 52, -3),
        ("67", 12, CELSIUS, 0),
        ("6b", 13, 24, 0),
        ("72", 17, 5, 0),
        ("76", 18, 5, 0),
        ("78", 19, NO_UNIT, 0),
        ("7a", 21, NO_UNIT, 0),
        ("6f", RESERVED, UNKNOWN, 0),
        ("7b", RESERVED, UNKNOWN, 0),
        ("fb01", ENERGY, WH, 6),
        ("fb09", ENERGY, 25, 9),
        ("fb1a", 90, 56, -1),
        ("fb1b", 90, 56, 0),
        ("fb2e", 95, 44, -1),
        ("fb0c", ENERGY, 142, 5),
        ("fb06", RESERVED, UNKNOWN, 0),
        ("fd17", 47, NO_UNIT, 0),
        ("fd25", 57, 6, 0),
        ("fd28", 57, 2, 0),
        ("fd31", 60, 6, 0),
        ("fd48", 63, 35, -1),
        ("fd49", 63, 35, 0),
        ("fd59", 64, 33, -3),
        ("fd5c", 64, 33, 0),
        ("fd68", 73, 5, 0),
        ("fd6f", 74, 1, 0),
        ("fd71", 76, 141, 0),
        ("fd7d", RESERVED, UNKNOWN, 0),
        ("fdfd02", 77, 2, 0),
        ("fdfd55", RESERVED, UNKNOWN, 0),
        ("7f", MANUFACTURER, NO_UNIT, 0),
    )
    for vib, quantity, unit, scaler in cases:
        records = first("01" + vib + "05")
        assert (records.quantity, records.unit, records.scaler) == (quantity, unit, scaler), vib
        assert records.raw() == 5 and records.data == 1 + len(vib) // 2


def test_vifes_correct_the_value():
    records = first("02 9374 0500")  # times 10**-2
    assert (records.raw(), records.scaler) == (5, -5)
    records = first("02 937d 0500")  # times 1000
    assert (records.raw(), records.scaler) == (5, 0)
    records = first("02 9379 0500")  # plus 10**-2 of the unit
    assert records.raw() * 10 ** (records.scaler + 6) == 5010
    records = first("05 db79 0000c03f")  # the same for a real: 1.5 + 0.01
    assert records.raw() == 151 * 10 ** (-2 - records.scaler)
    assert first("02 93f174 0500").scaler == -3 - 5 - 2


def test_vifes_that_tell_more_leave_the_value_alone():
    records = first("04 863b 23000000")
    assert (records.raw(), records.scaler, records.modifiers()) == (35, 3, b"\x3b")
    records = first("02 fdc9ff74 df00")  # behind FFh all is the maker's
    assert (records.raw(), records.scaler, records.modifiers()) == (223, 0, b"\x7f\x74")
    records = first("02 ff74 df00")
    assert (records.quantity, records.scaler) == (MANUFACTURER, 0)


def test_plain_text_names_the_quantity():
    records = first("02 7c03 485225 d411")
    assert (records.quantity, records.name(), records.raw()) == (TEXT, "%RH", 0x11D4)
    records = first("02 fc03 485225 74 d411")
    assert (records.name(), records.raw(), records.scaler) == ("%RH", 0x11D4, -2)
    assert first("02 13 0000").name() is None


def test_variable_lengths():
    records = first("0d 7c00 03 636261")
    assert (records.kind, records.text(), records.raw()) == (CHARACTERS, "abc", None)
    assert first("0d 78 00").text() == ""
    assert raw("0d 78 c2 3412") == 1234
    assert raw("0d 78 d2 3412") == -1234
    assert raw("0d 78 c0") == 0
    records = first("0d 78 e3 010203")
    assert (records.kind, records.octets()) == (BINARY, b"\x01\x02\x03")
    assert len(first("0d 78 f0" + "00" * 16).octets()) == 16
    assert len(first("0d 78 f4" + "00" * 32).octets()) == 32
    assert len(first("0d 78 f5" + "00" * 48).octets()) == 48
    assert len(first("0d 78 f6" + "00" * 64).octets()) == 64
    for length in ("ca", "df", "f7", "ff"):
        assert walk("0d 78" + length + "00" * 64) == ([], "length")


def test_dates_and_times():
    cases = (
        ("02 6c bf1c", "2013-12-31"),
        ("02 6c 0000", "2000-00-00"),  # every day: a pattern, no day
        ("02 6c ffff", "2127-15-31"),
        ("04 6d 190f8a17", "2012-07-10T15:25:00"),
        ("04 6d 32371f15", "2008-05-31T23:50:00"),  # century 1
        ("04 6d 3217de6c", "2054-12-30T23:50:00"),
        ("04 6d 321777c8", "1999-08-23T23:50:00"),  # century 0 and year 99
        ("04 6d 323777c8", "2099-08-23T23:50:00"),
        ("06 6d 1e32173f1500", "2009-05-31T23:50:30"),
        ("03 6d 1e3217", "23:50:30"),
        ("04 fd30 190f8a17", "2012-07-10T15:25:00"),
        ("02 fd70 bf1c", "2013-12-31"),
        ("04 8339 190f8a17", "2012-07-10T15:25:00"),  # start of what the VIF names
    )
    for text, wanted in cases:
        records = first(text)
        assert records.kind == TIME_POINT and records.unit == POINT
        assert records.text() == wanted and records.raw() is None


def test_a_time_that_says_it_is_not_valid_is_none():
    assert first("04 6d a115e917").text() is None
    assert first("06 6d 1eb2173f1500").text() is None


def test_dates_of_odd_sizes_stay_numbers():
    records = first("04 6c 05000000")
    assert (records.quantity, records.raw(), records.text()) == (DATE, 5, None)
    assert first("02 6d 0500").raw() == 5


def test_data_of_the_maker_takes_the_rest():
    data = bytes.fromhex("01 03 05 0f 030405")
    records = MbusRecords(data, 0, len(data))
    assert records.next() and records.next()
    assert (records.kind, records.octets()) == (RAW, b"\x03\x04\x05")
    assert not records.next() and records.error is None
    assert (first("1f").kind, first("1f").octets()) == (MORE, b"")


def test_fillers_are_passed_over():
    assert walk("2f 2f 01 03 05 2f 01 03 06 2f 2f") == (
        [(ENERGY, WH, 5, 0), (ENERGY, WH, 6, 0)],
        None,
    )
    assert walk("") == ([], None) and walk("2f2f") == ([], None)
    assert walk("01 03 05 ff ff ff") == ([(ENERGY, WH, 5, 0)], None)


def test_an_unknown_dif_keeps_its_bytes():
    records = first("3f 0102")
    assert (records.kind, records.octets(), records.raw()) == (UNREADABLE, b"\x01\x02", None)


def test_a_record_without_data_is_one():
    assert first("00 03").kind == NOTHING and first("08 03").kind == NOTHING
    assert walk("00 03 01 03 07") == ([(ENERGY, WH, None, 0), (ENERGY, WH, 7, 0)], None)


def test_each_cut_has_its_reason():
    for text, reason in (
        ("04", "vif"),
        ("84", "vif"),
        ("8480", "vif"),
        ("84" + "80" * 11 + "00 03 00000000", "dife"),
        ("04 fd", "vife"),
        ("04 fb", "vife"),
        ("04 83", "vife"),
        ("04 fdfd", "vife"),
        ("04 83" + "80" * 11 + "00 00000000", "vife"),
        ("04 7c", "text"),
        ("04 7c 05 4142", "text"),
        ("04 03 000000", "data"),
        ("0d 78", "data"),
        ("0d 78 04 414243", "data"),
    ):
        assert walk("01 03 05" + text) == ([(ENERGY, WH, 5, 0)], reason), text


def test_headers():
    short = MbusTelegram(bytes.fromhex("7a 2a 10 0000 01 03 05"))
    assert (short.kind, short.access, short.status, short.body) == (RECORDS, 0x2A, 0x10, 5)
    none = MbusTelegram(bytes.fromhex("78 01 03 05"))
    assert (none.kind, none.access, none.body) == (RECORDS, None, 1)
    records = none.records()
    assert records.next() and records.raw() == 5
    for text in ("72 78563412 2440 01 07 55 00 00", "7a 2a 10 00", "73 00", "6f 00"):
        assert MbusTelegram(bytes.fromhex(text)).error == "header"
    for text in ("", "51", "00"):
        assert MbusTelegram(bytes.fromhex(text)).error == "ci"
    for text in ("76" + "00" * 12, "77" + "00" * 16):
        assert MbusTelegram(bytes.fromhex(text)).error == "mode 2"


def test_application_errors_and_alarms():
    telegram = MbusTelegram(b"\x70\x08")
    assert (telegram.kind, telegram.code, telegram.error) == (APPLICATION_ERROR, 8, None)
    assert MbusTelegram(b"\x70").code is None
    telegram = MbusTelegram(b"\x71\x04")
    assert (telegram.kind, telegram.code) == (ALARM, 4)
    telegram = MbusTelegram(bytes.fromhex("6e 2a 10 0000 02"))
    assert (telegram.kind, telegram.access, telegram.code) == (APPLICATION_ERROR, 0x2A, 2)


def test_fixed_structure():
    # medium 7 (water), litres and their historic value, BCD
    telegram = MbusTelegram(bytes.fromhex("73 21436587 0b 00 e9 7e 42000000 78560000"))
    assert (telegram.kind, telegram.medium, telegram.access) == (FIXED, 7, 0x0B)
    assert counters(telegram) == [(0x29, 42), (0x3E, 5678)]
    binary = MbusTelegram(bytes.fromhex("73 21436587 0b 01 e9 7e ff000000 00010000"))
    assert counters(binary) == [(0x29, 255), (0x3E, 256)]
