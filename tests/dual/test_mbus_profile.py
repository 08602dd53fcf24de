"""Compact profiles of M-Bus (EN 13757-3, annex F); runs on CPython and on MicroPython.

Each vector is spelled out: DIB, VIB, length, spacing control, spacing, values.
"""

from dicamm.proto import mbus_profile
from dicamm.proto.mbus_records import MbusRecords


def profile(text, base=None):
    data = bytes.fromhex(text)
    records = MbusRecords(data, 0, len(data))
    assert records.next(), records.error
    return mbus_profile.read(records, base)


def test_compact_profile_of_absolute_values():
    # 8-digit BCD, a month apart
    found = profile("8d04 931e 0a 3cfe 33000000 34180000")
    assert (found.mode, found.spacing, found.spacing_unit) == (
        mbus_profile.ABSOLUTE,
        1,
        mbus_profile.MONTHS,
    )
    assert found.values == [33, 1834] and not found.inverse


def test_compact_profile_of_steps_goes_on_from_its_base():
    # int16, every 15 minutes: rising, falling, signed
    steps = "0100 0a00"
    for control, wanted in (("52", [101, 111]), ("92", [99, 89]), ("d2", [101, 111])):
        found = profile("8d04 831f 06" + control + "0f" + steps, 100)
        assert found.values == wanted and found.spacing == 15
        assert found.spacing_unit == mbus_profile.MINUTES
    assert profile("8d04 831f 06 d20f ffff feff", 100).values == [99, 97]
    assert profile("8d04 831f 06 520f" + steps).values == [None, None]


def test_inverse_profile_goes_back_from_its_base():
    found = profile("8d04 8313 06 520f 0100 0a00", 100)
    assert found.inverse and found.values == [99, 89]
    assert profile("8d04 8313 06 920f 0100 0a00", 100).values == [101, 111]


def test_a_member_without_value_ends_a_series_of_steps():
    assert profile("8d04 831f 06 520f ffff 0a00", 100).values == [None, None]
    assert profile("8d04 831f 06 120f 0080 0a00", 100).values == [None, 10]


def test_what_is_no_profile_is_none():
    for text in (
        "8d04 03 04 52 0f 0100",
        "8d04 831f 01 52",
        "8d04 831f 05 520f 010203",
        "8d04 831f 04 500f 0102",
        "8d04 831f 04 72ff 0100",
        "04 831f 01000000",
    ):
        assert profile(text, 1) is None
