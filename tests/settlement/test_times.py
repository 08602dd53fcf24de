"""Instants and local days against the standard library's calendar and time zones."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clsbench.errors import BadInput
from clsbench.settlement.times import format_ms, local_date, parse_ms

SINCE_1996 = st.integers(820_454_400_000, 4_000_000_000_000)


@given(SINCE_1996)
def test_instants_read_back_as_written(at_ms):
    assert parse_ms(format_ms(at_ms), "here") == at_ms
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    assert format_ms(at_ms // 1000 * 1000) == at.isoformat().replace("+00:00", "Z")


@given(SINCE_1996)
def test_local_days_are_those_of_berlin(at_ms):
    at = datetime.fromtimestamp(at_ms / 1000, ZoneInfo("Europe/Berlin"))
    assert local_date(at_ms) == at.date().isoformat()


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-05-04T08:00:00",
        "2026-13-01T00:00:00Z",
        "gestern",
        "",
        None,
        5,
    ],
)
def test_what_is_no_instant_is_refused_with_its_place(text):
    with pytest.raises(BadInput, match="window.from"):
        parse_ms(text, "window.from")
