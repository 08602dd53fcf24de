"""The quarter-hour grid: each due time read or missing, once, none invented, whatever the clock
does."""

from dicamm.metering.grid import BACK_MS, LATEST_MS, PERIOD_MS, QuarterHourGrid, in_time

T_MS = 1777882500000  # 2026-05-04 08:15:00 UTC, a due time


def test_the_grid_is_that_of_utc():
    assert PERIOD_MS == 15 * 60 * 1000 and T_MS % PERIOD_MS == 0
    assert LATEST_MS == PERIOD_MS * 3 // 100


def test_a_new_device_waits_for_the_first_whole_quarter_hour():
    grid = QuarterHourGrid()
    assert grid.due(T_MS + 5000) is None
    assert grid.missing(T_MS + 6000) is None and grid.due(T_MS + 6000) is None
    assert grid.due(T_MS + PERIOD_MS - 1) is None
    assert grid.due(T_MS + PERIOD_MS) == T_MS + PERIOD_MS


def test_a_device_that_starts_on_the_due_time_waits_too():
    grid = QuarterHourGrid()
    assert grid.due(T_MS) is None
    assert grid.due(T_MS + 1) is None


def test_a_due_time_stays_due_until_it_is_done():
    grid = QuarterHourGrid(T_MS)
    due_ms = T_MS + PERIOD_MS
    assert grid.due(due_ms) == due_ms
    assert grid.due(due_ms + 3000) == due_ms and grid.missing(due_ms + 3000) is None
    grid.done(due_ms)
    assert grid.due(due_ms + 3001) is None and grid.missing(due_ms + 3001) is None


def test_a_due_time_is_missing_for_good_after_three_percent_of_the_period():
    grid = QuarterHourGrid(T_MS)
    due_ms = T_MS + PERIOD_MS
    assert grid.due(due_ms + LATEST_MS) == due_ms and grid.missing(due_ms + LATEST_MS) is None
    assert grid.due(due_ms + LATEST_MS + 1) is None
    assert grid.missing(due_ms + LATEST_MS + 1) == (due_ms, due_ms)
    assert grid.due(due_ms + PERIOD_MS - 1) is None
    assert grid.due(due_ms + PERIOD_MS) == due_ms + PERIOD_MS


def test_a_long_absence_is_one_range_of_missing_due_times():
    grid = QuarterHourGrid(T_MS)
    back_ms = T_MS + 100 * PERIOD_MS + 5000
    assert grid.missing(back_ms) == (T_MS + PERIOD_MS, T_MS + 99 * PERIOD_MS)
    grid.done(T_MS + 99 * PERIOD_MS)
    assert grid.missing(back_ms) is None
    assert grid.due(back_ms) == T_MS + 100 * PERIOD_MS


def test_a_clock_set_back_makes_nothing_due_or_missing_twice():
    grid = QuarterHourGrid(T_MS)
    due_ms = T_MS + PERIOD_MS
    grid.done(due_ms)
    for back_ms in (due_ms + 10, due_ms, due_ms - 1, due_ms - PERIOD_MS, due_ms - BACK_MS):
        assert grid.due(back_ms) is None and grid.missing(back_ms) is None
    assert grid.due(due_ms + PERIOD_MS) == due_ms + PERIOD_MS


def test_a_clock_that_was_wrong_by_more_than_a_day_does_not_stop_the_grid_for_that_long():
    grid = QuarterHourGrid(T_MS + 3650 * BACK_MS)
    assert grid.missing(T_MS + 100) is None and grid.due(T_MS + 100) is None
    assert grid.due(T_MS + PERIOD_MS) == T_MS + PERIOD_MS


def test_a_clock_set_back_before_the_first_reading_makes_no_past_quarter_hour_due():
    grid = QuarterHourGrid()
    assert grid.due(T_MS + 60000) is None
    assert grid.due(T_MS - PERIOD_MS) is None
    assert grid.due(T_MS) is None
    assert grid.due(T_MS + PERIOD_MS) == T_MS + PERIOD_MS


def test_after_a_restart_the_newest_record_counts_as_done():
    grid = QuarterHourGrid(T_MS)
    assert grid.due(T_MS + 1000) is None
    assert grid.due(T_MS + PERIOD_MS + 1000) == T_MS + PERIOD_MS


def test_a_day_of_polling_makes_each_due_time_once_in_order():
    """Also over the last hour of summer time, which is none in UTC."""
    start_ms = 1792886400000  # 2026-10-25 00:00:00 UTC
    grid = QuarterHourGrid()
    found = []
    for now_ms in range(start_ms + 1, start_ms + 86400000 + 2, 7777):
        assert grid.missing(now_ms) is None
        due_ms = grid.due(now_ms)
        if due_ms is not None:
            assert in_time(due_ms, now_ms)
            grid.done(due_ms)
            found.append(due_ms)
    assert found == [start_ms + n * PERIOD_MS for n in range(1, 96)]


def test_a_reading_counts_for_a_due_time_from_that_instant_until_three_percent_after():
    assert in_time(T_MS, T_MS) and in_time(T_MS, T_MS + LATEST_MS)
    assert not in_time(T_MS, T_MS - 1) and not in_time(T_MS, T_MS + LATEST_MS + 1)


def test_the_wait_ends_on_the_next_due_time():
    grid = QuarterHourGrid()
    assert grid.wait_ms(T_MS) == PERIOD_MS
    assert grid.wait_ms(T_MS + 1) == PERIOD_MS - 1
    assert grid.wait_ms(T_MS - 1) == 1
