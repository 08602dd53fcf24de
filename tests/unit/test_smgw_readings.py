"""Readings made from telegrams, and the status word that goes with them."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smgw_core_kit import METER

from clsbench.meters.device_id import server_id
from clsbench.smgw.core import status
from clsbench.smgw.core.profiles import MeterProfile
from clsbench.smgw.core.readings import ReadingRefused, Value, from_telegram, full_obis


def test_a_clean_status_word_reads_as_published():
    assert status.to_hex(status.combine()) == "A000000020000000"
    assert status.billable(status.combine())


@pytest.mark.parametrize("bit", [1, 8, 9, 13])
def test_each_bit_that_forbids_billing_does(bit):
    assert not status.billable(status.combine([bit]))


def test_a_manipulated_meter_shows_in_the_gateway_word():
    for bit in (9, 10):
        assert status.has(status.combine([], 1 << bit), status.METER_TAMPER)
    assert not status.billable(status.combine([], 1 << 17))


@given(st.sets(st.integers(3, 31)), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_a_status_word_survives_writing_and_reading(bits, meter_word):
    word = status.combine(bits, meter_word)
    assert status.from_hex(status.to_hex(word)) == word


def test_a_status_word_of_the_other_bit_order_is_recognised_and_a_foreign_one_refused():
    assert status.from_hex("0000010500100504") == 0x00100504 << 32 | 0x105
    for strange in ("0000000000000000", "A0", "4000000020000000"):
        with pytest.raises(ValueError, match="status"):
            status.from_hex(strange)


def entry(obis, raw, unit=30, scaler=-1, meter_status=None):
    return SimpleNamespace(obis=obis, raw=raw, scaler=scaler, unit=unit, status=meter_status)


IMPORT = bytes.fromhex("0100010800ff")
EXPORT = bytes.fromhex("0100020800ff")


def telegram(*entries, meter_id=METER, refused=0):
    return SimpleNamespace(server_id=server_id(meter_id), entries=list(entries), refused=refused)


def test_a_reading_holds_the_profile_registers_and_the_meters_status():
    frame = telegram(entry(IMPORT, 123_456, meter_status=0x104), entry(EXPORT, 7))
    reading = from_telegram(frame, 1000, MeterProfile(METER, (full_obis("1-0:1.8.0"),)), b"raw")
    assert reading.values == (Value("1-0:1.8.0*255", 123_456, -1, 30),)
    assert (reading.meter_id, reading.captured_ms, reading.meter_word) == (METER, 1000, 0x104)
    assert reading.telegram == b"raw"


def test_without_a_register_list_every_numeric_register_with_a_unit_counts():
    frame = telegram(
        entry(IMPORT, 5),
        entry(EXPORT, 6),
        entry(b"\x01\x00`\x01\x00\xff", b"id"),
        entry(IMPORT, 9),
    )
    frame.entries.append(entry(bytes.fromhex("0100100700ff"), 1, unit=None))
    reading = from_telegram(frame, 0, MeterProfile(METER))
    assert [(value.obis, value.raw) for value in reading.values] == [
        ("1-0:1.8.0*255", 5),
        ("1-0:2.8.0*255", 6),
    ]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (telegram(entry(IMPORT, 1), meter_id="1EMH0000000001"), "1EMH0000000001 answers where"),
        (telegram(entry(EXPORT, 1)), "1-0:1.8.0\\*255 missing"),
        (telegram(entry(IMPORT, 1), refused=1), "not whole"),
        (SimpleNamespace(server_id=None, entries=[], refused=0), "without meter id"),
    ],
)
def test_a_telegram_that_is_no_reading_of_the_profile_is_refused(frame, reason):
    with pytest.raises(ReadingRefused, match=reason):
        from_telegram(frame, 0, MeterProfile(METER, ("1-0:1.8.0*255",)))


def test_a_register_no_store_has_room_for_is_left_out_and_a_long_status_cut():
    whole = entry(IMPORT, 2**63 - 1, meter_status=2**64 - 1)
    found = from_telegram(telegram(whole, entry(EXPORT, 2**63)), 1, MeterProfile(METER))
    assert [value.obis for value in found.values] == ["1-0:1.8.0*255"]
    assert found.meter_word == 2**32 - 1
