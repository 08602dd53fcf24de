"""Quarter hours of TAF7: the nearest reading inside the window, else a gap, each once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smgw_core_kit import QUARTER, reading_at

from clsbench.smgw.core.grid import DueTimes, Slot


def due(series, now_ms):
    return [
        (slot.due_ms, slot.reading and slot.reading.captured_ms) for slot in series.decide(now_ms)
    ]


def test_the_reading_nearest_to_the_due_time_is_taken():
    series = DueTimes(after_ms=0)
    for moment in (QUARTER - 3000, QUARTER - 1000, QUARTER + 2000):
        series.take(reading_at(moment))
    assert due(series, QUARTER + 2000) == [(QUARTER, QUARTER - 1000)]


def test_a_reading_before_the_due_time_waits_for_a_nearer_one():
    series = DueTimes(after_ms=0)
    series.take(reading_at(QUARTER - 1000))
    assert due(series, QUARTER + 500) == []
    series.take(reading_at(QUARTER + 900))
    assert due(series, QUARTER + 900) == [(QUARTER, QUARTER + 900)]


@pytest.mark.parametrize("offset", [-9000, 9000])
def test_a_reading_on_the_edge_of_the_window_counts(offset):
    series = DueTimes(after_ms=0)
    series.take(reading_at(QUARTER + offset))
    assert due(series, QUARTER + 9001) == [(QUARTER, QUARTER + offset)]


@pytest.mark.parametrize("offset", [-9001, 9001])
def test_a_reading_just_outside_the_window_leaves_a_gap(offset):
    series = DueTimes(after_ms=0)
    series.take(reading_at(QUARTER + offset))
    assert due(series, QUARTER + 9000) == []
    assert due(series, QUARTER + 9001) == [(QUARTER, None)]


def test_a_decided_due_time_is_never_decided_again_though_time_steps_back():
    series = DueTimes(after_ms=0)
    series.take(reading_at(QUARTER))
    assert due(series, QUARTER) == [(QUARTER, QUARTER)]
    series.take(reading_at(QUARTER))
    assert due(series, QUARTER) == []
    assert due(series, 2 * QUARTER + 9001) == [(2 * QUARTER, None)]


def test_after_an_outage_every_due_time_is_a_gap_in_order():
    series = DueTimes(after_ms=QUARTER)
    now = 5 * QUARTER + 10_000
    assert due(series, now) == [(n * QUARTER, None) for n in (2, 3, 4, 5)]


def test_due_times_past_keeping_are_left_out_and_counted():
    series = DueTimes(after_ms=QUARTER)
    assert series.skip_to(10 * QUARTER) == 9
    assert series.next_due_ms == 11 * QUARTER
    assert series.skip_to(3 * QUARTER) == 0


@given(st.lists(st.integers(0, 4 * QUARTER), max_size=40))
@settings(max_examples=60)
def test_no_slot_ever_holds_a_reading_outside_its_window(moments):
    series = DueTimes(after_ms=0)
    slots: list[Slot] = []
    for moment in sorted(moments):
        series.take(reading_at(moment))
        slots += series.decide(moment)
    slots += series.decide(4 * QUARTER + 9001)
    assert [slot.due_ms for slot in slots] == [n * QUARTER for n in (1, 2, 3, 4)]
    for slot in slots:
        inside = [m for m in moments if abs(m - slot.due_ms) <= 9000]
        if slot.reading is None:
            assert not inside
        else:
            nearest = min(abs(m - slot.due_ms) for m in inside)
            assert abs(slot.reading.captured_ms - slot.due_ms) == nearest
