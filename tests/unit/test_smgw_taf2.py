"""TAF2: stages by the wall clock, the error register, and a sum that always holds exactly."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smgw_core_kit import QUARTER
from smgw_month_kit import IMPORT, TAF2, TARIFF, gap, month, row, unusable

from clsbench.smgw.core import status
from clsbench.smgw.core.legal_time import month_ms
from clsbench.smgw.core.taf2 import registers, stage_obis

BERLIN = ZoneInfo("Europe/Berlin")
STAGE1, STAGE2, ERROR = (stage_obis(IMPORT, stage) for stage in (1, 2, 63))


def values(rows, period):
    return {register.obis: register.raw for register in registers(TAF2, rows, period)}


def at(*moment):
    return int(datetime(*moment, tzinfo=BERLIN).timestamp() * 1000)


def test_each_stage_counts_its_own_hours():
    day = (at(2026, 5, 4), at(2026, 5, 5))  # a Monday
    rows = [row(day[0] + n * QUARTER, 1000 + 10 * n) for n in range(97)]
    assert values(rows, day) == {IMPORT: 960, STAGE1: 640, STAGE2: 320, ERROR: 0}


@pytest.mark.parametrize(
    ("day", "total", "high"),
    [
        (date(2026, 3, 29), 92, 0),  # Sunday, the hour from two to three is not there
        (date(2026, 10, 25), 100, 0),  # Sunday, the hour from two to three comes twice
        (date(2026, 10, 3), 96, 0),  # a holiday on a Saturday counts as a Sunday
        (date(2026, 10, 24), 96, 64),  # a Saturday
    ],
)
def test_days_of_every_length_have_all_their_quarters(day, total, high):
    rows = month(day.year, day.month, lambda place: 1)
    start = at(day.year, day.month, day.day)
    found = values(rows, (start, start + total * QUARTER))
    assert (found[IMPORT], found[STAGE1], found[STAGE2]) == (total, high, total - high)


def test_a_switch_in_the_doubled_hour_goes_by_the_wall_clock():
    october = [row(at(2026, 10, 25) + n * QUARTER, n) for n in range(101)]
    tariff = type(TARIFF)(TARIFF.stages, (type(TARIFF.days[0])(1, ((0, 2), (150, 1))),), (1,) * 7)
    from_half_past_two = [n for n in range(100) if tariff.stage_at(october[n].due_ms) == 1]
    # 02:30 to 03:00 summer time, back to stage 2 at 02:00 winter time, then from 02:30 on
    assert from_half_past_two == [10, 11, *range(14, 100)]


def test_a_missing_reading_within_a_stage_changes_nothing():
    day = (at(2026, 5, 4), at(2026, 5, 5))
    rows = [row(day[0] + n * QUARTER, 10 * n) for n in range(97)]
    whole = values(rows, day)
    rows[40] = gap(rows[40].due_ms)
    rows[41] = unusable(rows[41].due_ms, 3)
    assert values(rows, day) == whole


def test_a_missing_reading_at_a_change_goes_to_the_error_register():
    day = (at(2026, 5, 4), at(2026, 5, 5))
    rows = [row(day[0] + n * QUARTER, 10 * n) for n in range(97)]
    rows[24] = gap(rows[24].due_ms)  # 06:00, where stage 2 gives way to stage 1
    assert values(rows, day) == {IMPORT: 960, STAGE1: 630, STAGE2: 310, ERROR: 20}


def test_a_missing_end_of_the_period_is_marked():
    day = (at(2026, 5, 4), at(2026, 5, 5))
    rows = [row(day[0] + n * QUARTER, 10 * n) for n in range(97)]
    assert {register.ptb for register in registers(TAF2, rows, day)} == {0}
    rows[96] = gap(rows[96].due_ms)
    cut = registers(TAF2, rows, day)
    assert [register.raw for register in cut] == [950, 640, 310, 0]
    assert {register.ptb for register in cut} == {2}
    assert all(status.has(r.status, status.VALUE_NOT_VALIDATED) for r in cut)


@pytest.mark.parametrize("raws", [(5, None, None), (None, None, None), (5, 9, 8)])
def test_without_two_readings_or_with_a_register_that_fell_there_is_no_value(raws):
    day = (at(2026, 5, 4), at(2026, 5, 4) + 2 * QUARTER)
    rows = [
        gap(day[0] + n * QUARTER) if raw is None else row(day[0] + n * QUARTER, raw)
        for n, raw in enumerate(raws)
    ]
    found = registers(TAF2, rows, day)
    assert len(found) == 4 and {(r.raw, r.ptb) for r in found} == {(None, 3)}


def test_a_meter_that_changes_its_scaler_is_counted_exactly():
    day = (at(2026, 5, 4), at(2026, 5, 4) + 2 * QUARTER)
    rows = [row(day[0], 1, 0), row(day[0] + QUARTER, 15, -1), row(day[1], 2, 0)]
    found = registers(TAF2, rows, day)
    assert [(r.raw, r.scaler) for r in found] == [(10, -1), (0, -1), (10, -1), (0, -1)]


@given(
    month_of=st.sampled_from([(2026, 3), (2026, 10), (2027, 2), (2026, 5)]),
    steps=st.lists(st.integers(0, 10**9), min_size=1, max_size=60),
    lost=st.sets(st.integers(0, 2980), max_size=200),
    bad=st.sets(st.integers(0, 2980), max_size=200),
)
@settings(max_examples=15, deadline=None)
def test_stages_add_up_to_the_total_of_a_month_exactly(month_of, steps, lost, bad):
    rows = month(*month_of, lambda place: steps[place % len(steps)])
    kept = [gap(one.due_ms) if place in lost else one for place, one in enumerate(rows)]
    kept = [
        unusable(one.due_ms, one.raw or 0) if place in bad - lost else one
        for place, one in enumerate(kept)
    ]
    found = values(kept, month_ms(*month_of))
    good = [one.raw for place, one in enumerate(rows) if place not in lost | bad]
    assert found[STAGE1] + found[STAGE2] + found[ERROR] == found[IMPORT] == good[-1] - good[0]
    if not lost | bad:
        assert found[ERROR] == 0
