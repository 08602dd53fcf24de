"""The night of a change day in seconds, through the real firmware; in full: `make month`."""

from datetime import UTC, datetime, timedelta

import pytest

from clsbench.bench.leaps import LEAD_MS, PERIOD_MS, SLOW_MS, LeapClock
from clsbench.bench.month import Leg, figures, run_leg

CHANGE = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)  # 03:00 becomes 02:00 in Germany
QUARTER_HOURS = 24


async def test_every_quarter_hour_of_the_change_night_is_read_and_the_sums_are_exact(tmp_path):
    first_ms = int((CHANGE - timedelta(hours=2)).timestamp() * 1000)
    leg = await run_leg(tmp_path, "night", first_ms, QUARTER_HOURS)
    line = figures([leg])
    assert leg.ok, (line, leg.findings)
    assert leg.due + leg.missing == QUARTER_HOURS, line
    assert leg.transactions + leg.refused >= 3 and leg.records >= QUARTER_HOURS
    assert leg.heap and max(leg.heap) < 256 * 1024


def test_a_leg_with_a_finding_is_not_ok():
    assert Leg("x", 1).ok and not Leg("x", 1, findings=["a quarter hour in no record"]).ok


def test_the_heap_is_judged_once_the_log_is_full():
    growing = Leg("x", 960, heap=[1, 900, 1000, 1010, 1005, 2000, 2010])
    assert growing.floors() == (1000, 1005)
    assert Leg("x", 960, heap=[1, 900, 1000, 1010, 1700, 1800]).floors() == (1000, 1700)
    assert Leg("x", 24, heap=[5, 6]).floors() == (5, 6)


@pytest.mark.parametrize("number", [0, 1, 2976])
def test_the_leaping_clock_is_on_time_at_every_quarter_hour(number):
    clock = LeapClock(PERIOD_MS, 170_000, 110_000)
    begin_ns = clock.mono_ns + number * 170_000_000
    assert clock.ns_at(begin_ns) == (PERIOD_MS * (number + 1) - LEAD_MS) * 1_000_000
    slow_ns = clock.ns_at(begin_ns + 110_000_000) - clock.ns_at(begin_ns)
    assert slow_ns == SLOW_MS * 1_000_000
    steps = [clock.ns_at(begin_ns + us * 1000) for us in range(0, 340_000, 500)]
    assert steps == sorted(steps)
