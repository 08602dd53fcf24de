"""Times as people write them, canonical JSON, names of sessions: the HAN's small pure parts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.smgw.han.library import raised
from clsbench.smgw.han.ppc_sessions import IDLE_S, MAX_OF_LOGIN, Sessions, session_cookies
from clsbench.smgw.han.signing import canonical
from clsbench.smgw.han.times import iso_ms, local_text, utc_text, wall_ms

HOUR_MS = 3_600_000
LONG_DAY_MS = 1_792_879_200_000  # 2026-10-25 00:00 German time


def test_canonical_form_takes_blanks_between_components_only():
    text = b'{ "a b" : [ 1,\r\n\t2 ], "q\\" \\\\" : " x\\\\" }'
    assert canonical(text) == b'{"a b":[1,2],"q\\" \\\\":" x\\\\"}'


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-24T22:00:00Z",
        "2026-10-25T00:00:00+02:00",
        "2026-10-25T00:00:00 02:00",
        "2026-10-24T22:00:00",
        "2026-10-24T22:00:00.000Z",
    ],
)
def test_an_instant_is_read_with_any_zone_or_none(text):
    assert iso_ms(text) == LONG_DAY_MS


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "0001-01-01", "9999-12-31", "1" * 50])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        iso_ms(text)


def test_the_hour_that_comes_twice_begins_with_its_first_and_ends_with_its_second():
    assert wall_ms("2026-10-25 02:30:00", False) == LONG_DAY_MS + 5 * HOUR_MS // 2
    assert wall_ms("2026-10-25 02:30:00", True) == LONG_DAY_MS + 7 * HOUR_MS // 2


def test_a_date_alone_is_the_whole_day():
    assert wall_ms("2026-10-25", False) == LONG_DAY_MS
    assert wall_ms("2026-10-25", True) == LONG_DAY_MS + 25 * HOUR_MS - 1000


def test_the_hour_that_is_left_out_is_read_as_winter_time():
    assert utc_text(wall_ms("2026-03-29 02:30:00", False)) == "2026-03-29T01:30:00Z"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 4_000_000_000))
def test_wall_clock_text_is_read_back_within_the_double_hour(seconds):
    ms = seconds * 1000
    text = local_text(ms)
    assert ms in (wall_ms(text, False), wall_ms(text, True))


def test_values_are_brought_to_the_scaler_of_the_field():
    assert raised(123, 0, -1) == 1230
    assert raised(123, -1, -1) == 123
    assert raised(12_345, -4, -1) == 12


def test_session_cookies_are_found_however_the_header_is_written():
    key = "0123456789abcdef0123456789abcdef"
    for header in (
        f"session={key}",
        f"a=b; session={key}",
        f"Cookie=session={key}; session={key}",
        f'session="{key}"',
    ):
        assert key in session_cookies([header])
    assert session_cookies(["mysession=" + key, "session=x"]) == []


def test_sessions_end_by_time_by_number_and_by_log_out():
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.new("me")
    assert sessions.find("me", [first.cookie]) is first
    assert sessions.find("you", [first.cookie]) is None
    sessions.end(first)
    assert sessions.find("me", [first.cookie]) is None
    many = [sessions.new("me") for _ in range(MAX_OF_LOGIN + 1)]
    assert sessions.of("me") == many[1:]
    now[0] += IDLE_S + 1
    assert sessions.of("me") == []
