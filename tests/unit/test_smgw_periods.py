"""Periods of TAF1, TAF2 and TAF6: where they end, what stands at their end."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from smgw_core_kit import METER, QUARTER
from smgw_month_kit import IMPORT, TAF1, TAF2, TAF6, gap, month, row

from clsbench.smgw.core.clock_state import TimeState
from clsbench.smgw.core.legal_time import (
    billing_period_ms,
    days_between,
    local,
    midnight_ms,
    month_ms,
    next_midnight_ms,
)
from clsbench.smgw.core.originals import originals
from clsbench.smgw.core.periods import ended, evaluate, period_at
from clsbench.smgw.core.readings import OriginalReading, Value
from clsbench.smgw.core.validity import Validity

BERLIN = ZoneInfo("Europe/Berlin")
MARCH = month_ms(2026, 3)


def test_local_days_begin_where_the_time_zone_data_base_says():
    day = date(2020, 1, 1)
    while day < date(2032, 1, 1):
        moment = datetime(day.year, day.month, day.day, tzinfo=BERLIN)
        assert midnight_ms(day) == int(moment.timestamp() * 1000), day
        assert local(midnight_ms(day)) == moment.replace(tzinfo=None)
        day += timedelta(days=1)


def test_the_wall_clock_around_both_changes_is_that_of_the_time_zone_data_base():
    for start in (midnight_ms(date(2026, 3, 29)), midnight_ms(date(2026, 10, 25))):
        for utc_ms in range(start, start + 26 * 3_600_000, QUARTER):
            moment = datetime.fromtimestamp(utc_ms / 1000, BERLIN)
            assert local(utc_ms) == moment.replace(tzinfo=None)


def test_months_with_a_change_of_time_have_their_true_length():
    assert (MARCH[1] - MARCH[0]) // QUARTER == 31 * 96 - 4
    october = month_ms(2026, 10)
    assert (october[1] - october[0]) // QUARTER == 31 * 96 + 4
    assert len(days_between(*october)) == 31


@pytest.mark.parametrize(
    ("months", "anchor", "first", "last"),
    [
        (1, date(2020, 1, 1), date(2026, 3, 1), date(2026, 4, 1)),
        (3, date(2020, 2, 1), date(2026, 2, 1), date(2026, 5, 1)),
        (12, date(2025, 7, 1), date(2025, 7, 1), date(2026, 7, 1)),
        (6, date(2027, 1, 1), date(2026, 1, 1), date(2026, 7, 1)),  # an anchor to come
    ],
)
def test_a_billing_period_begins_on_a_first_counted_from_the_anchor(months, anchor, first, last):
    at_ms = midnight_ms(date(2026, 3, 15))
    assert billing_period_ms(at_ms, months, anchor) == (midnight_ms(first), midnight_ms(last))


def test_every_ended_period_comes_once_and_in_order():
    after, until = midnight_ms(date(2026, 2, 10)), midnight_ms(date(2026, 4, 1))
    ends = [end for _, end in ended(TAF1, after, until)]
    assert ends == [MARCH[0], MARCH[1]]
    days = list(ended(TAF6, MARCH[0], MARCH[1]))
    assert len(days) == 31 and days[-1][1] == MARCH[1]
    assert all(one[1] == other[0] for one, other in zip(days, days[1:], strict=False))
    assert list(ended(TAF1, MARCH[0], MARCH[1] - 1)) == []


def test_a_profile_in_force_within_a_period_counts_from_there_to_its_end():
    from_ms, to_ms = MARCH[0] + 5 * QUARTER + 1, MARCH[0] + 9 * QUARTER
    taf = replace(TAF1, validity=Validity(from_ms, to_ms))
    period = (MARCH[0] + 6 * QUARTER, to_ms)
    assert period_at(taf, from_ms) == period
    assert list(ended(taf, 0, MARCH[1])) == [period]
    (register,) = evaluate(taf, month(2026, 3, lambda place: 10), period)
    assert register.raw == 30


def test_taf1_is_the_difference_of_the_two_ends_alone():
    rows = month(2026, 3, lambda place: 7)
    (register,) = evaluate(TAF1, [rows[0], rows[-1]], MARCH)
    assert (register.obis, register.raw, register.scaler, register.ptb) == (
        IMPORT,
        7 * 2972,
        -1,
        0,
    )
    assert (register.start_ms, register.end_ms, register.closed) == (*MARCH, True)


@pytest.mark.parametrize("lost", [0, -1])
def test_taf1_without_one_of_its_ends_has_no_value(lost):
    rows = month(2026, 3, lambda place: 7)
    rows[lost] = gap(rows[lost].due_ms)
    (register,) = evaluate(TAF1, rows, MARCH)
    assert (register.raw, register.ptb) == (None, 3)


def test_taf6_is_the_register_at_the_end_of_the_day():
    day = (MARCH[0], next_midnight_ms(MARCH[0]))
    rows = month(2026, 3, lambda place: 1)[:97]
    (register,) = evaluate(TAF6, rows, day)
    assert register.raw == 1096
    (register,) = evaluate(TAF6, [*rows[:-1], gap(day[1])], day)
    assert (register.raw, register.ptb) == (None, 3)


def test_only_counters_are_evaluated_unless_the_profile_names_registers():
    values = (
        Value(IMPORT, 5, -1, 30),
        Value("1-0:1.8.1*255", 5, -1, 30),
        Value("1-0:16.7.0*255", 5, 0, 27),
        Value("7-0:3.0.0*255", 5, -2, 13),
    )
    rows = originals(METER, OriginalReading(METER, 1, values), TimeState(), MARCH[1])
    found = [register.obis for register in evaluate(TAF6, rows, MARCH)]
    assert found == [IMPORT, "7-0:3.0.0*255"]
    named = replace(TAF6, obis=("1-0:16.7.0*255",))
    assert [register.obis for register in evaluate(named, rows, MARCH)] == ["1-0:16.7.0*255"]


def test_nothing_is_made_of_an_empty_list():
    for taf in (TAF1, TAF2, TAF6):
        assert evaluate(taf, [], MARCH) == []


def test_a_falling_register_gives_no_value_in_taf1():
    (register,) = evaluate(TAF1, [row(MARCH[0], 9), row(MARCH[1], 8)], MARCH)
    assert (register.raw, register.ptb) == (None, 3)
