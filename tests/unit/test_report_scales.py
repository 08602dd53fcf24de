"""Axes of the report: few round ticks, inside the drawing, at any span and height."""

import pytest
from report_kit import T0_MS

from clsbench.report.scales import TimeScale, ValueScale


@pytest.mark.parametrize("span_ms", [0, 1, 999, 60_000, 7_200_000, 86_400_000 * 40, 10**12])
def test_the_time_axis_has_few_round_ticks_inside(span_ms):
    scale = TimeScale.around((T0_MS, T0_MS + span_ms), 80, 1000)
    ticks, _ = scale.ticks()
    assert 1 <= len(ticks) <= 16
    assert scale.from_ms <= min(ticks) and max(ticks) <= scale.to_ms
    assert 80 <= scale.x(T0_MS) <= scale.x(T0_MS + span_ms) <= 1080


@pytest.mark.parametrize("highest", [0, 0.1, 3, 999, 1500, 6240, 10**9])
def test_the_value_axis_has_few_ticks_and_room_for_the_highest(highest):
    scale = ValueScale.up_to(highest, 100, 80)
    assert 2 <= len(scale.ticks()) <= 7
    assert 20 <= scale.y(highest) <= 100
