"""Legal time: what is learnt, how far it can be off, and when it stops being good for billing."""

from dicamm.metering.legal_time import (
    HOLDOVER,
    LAST_UTC_MS,
    MAX_BOUND_MS,
    MAX_ROUND_TRIP_MS,
    SYNCHRONISED,
    UNSET,
    LegalTime,
    is_utc_ms,
)

T_MS = 1777882500000  # 2026-05-04 08:15 UTC


def synchronised(bound_ms=0, at_ms=1000, drift_ppm=50):
    time = LegalTime(drift_ppm)
    assert time.learn(T_MS, bound_ms, at_ms, at_ms) == 0
    return time


def test_before_the_first_answer_time_is_unset():
    time = LegalTime()
    assert time.state(5) == UNSET
    assert time.utc_ms(5) is None and time.bound_ms(5) is None


def test_utc_is_that_of_the_middle_of_the_exchange():
    time = LegalTime()
    assert time.learn(T_MS, 10, 1000, 1400) == 0
    assert time.utc_ms(1200) == T_MS
    assert time.utc_ms(1400) == T_MS + 200
    assert time.bound_ms(1400) == 10 + 200
    assert time.state(1400) == SYNCHRONISED


def test_an_instant_before_the_first_answer_gets_its_time_afterwards():
    time = synchronised(at_ms=100000)
    assert time.utc_ms(40000) == T_MS - 60000
    assert time.bound_ms(40000) == 3  # a minute of 50 ppm, backwards as forwards


def test_an_odd_round_trip_counts_as_the_longer_half():
    time = LegalTime()
    time.learn(T_MS, 0, 1000, 1001)
    assert time.bound_ms(1001) == 1


def test_the_bound_grows_with_the_stated_drift():
    time = synchronised(bound_ms=7)
    assert time.bound_ms(1000) == 7
    assert time.bound_ms(1000 + 1000000) == 7 + 50
    assert time.bound_ms(1000 + 86400000) == 7 + 4320


def test_part_of_a_millisecond_counts_whole():
    time = synchronised(drift_ppm=100)
    assert time.bound_ms(1000) == 0
    assert time.bound_ms(1001) == 1
    assert time.bound_ms(1000 + 10000) == 1
    assert time.bound_ms(1000 + 10001) == 2


def test_holdover_begins_where_the_bound_reaches_three_percent_of_a_quarter_hour():
    assert MAX_BOUND_MS == 900000 * 3 // 100
    time = synchronised(drift_ppm=1000000)  # grows a millisecond each millisecond
    assert time.state(1000 + MAX_BOUND_MS - 1) == SYNCHRONISED
    assert time.state(1000 + MAX_BOUND_MS) == HOLDOVER
    assert time.utc_ms(1000 + MAX_BOUND_MS) == T_MS + MAX_BOUND_MS  # still the best there is


def test_an_answer_with_too_wide_a_bound_is_holdover_at_once():
    assert synchronised(bound_ms=MAX_BOUND_MS).state(1000) == HOLDOVER
    assert synchronised(bound_ms=MAX_BOUND_MS - 1).state(1000) == SYNCHRONISED


def test_an_answer_that_took_longer_than_nine_seconds_is_ignored():
    assert MAX_ROUND_TRIP_MS == 9000
    time = LegalTime()
    assert time.learn(T_MS, 0, 1000, 10001) is None
    assert time.state(10001) == UNSET and time.ignored == 1
    assert time.learn(T_MS, 0, 1000, 10000) == 0
    assert time.bound_ms(10000) == 4500


def test_an_answer_from_before_its_question_is_ignored():
    time = LegalTime()
    assert time.learn(T_MS, 0, 1000, 999) is None
    assert time.ignored == 1 and time.state(999) == UNSET


def test_a_worse_answer_does_not_replace_what_is_known():
    time = synchronised(bound_ms=5)
    assert time.learn(T_MS + 777777, 0, 2000, 2100) is None
    assert time.ignored == 1
    assert time.utc_ms(2100) == T_MS + 1100


def test_an_answer_as_good_as_what_is_known_is_taken():
    time = synchronised(bound_ms=50)
    assert time.learn(T_MS + 1000, 0, 1950, 2050) == 0
    assert time.bound_ms(2050) == 50 and time.ignored == 0


def test_what_has_grown_worse_gives_way_to_a_fresh_answer():
    time = synchronised(bound_ms=5)
    later = 1000 + 3600000  # an hour of 50 ppm: 180 ms
    assert time.learn(T_MS + 3600000 + 40, 0, later - 100, later + 100) == 40
    assert time.bound_ms(later + 100) == 100
    assert time.utc_ms(later) == T_MS + 3600000 + 40


def test_a_step_is_told_with_its_sign():
    time = synchronised(bound_ms=30)
    assert time.learn(T_MS + 1000 - 12, 0, 2000, 2000) == -12
    assert time.learn(T_MS + 2000 + 8, 0, 3000, 3000) == 20


def test_the_bound_holds_for_every_crystal_within_its_drift():
    """A true clock against the device's, a crystal at either edge, at every age and round trip."""
    for drift_ppm in (-50, -49, 0, 1, 50):
        for there_us, back_us in ((0, 0), (999, 1), (0, 7001), (300000, 0), (4000001, 3999999)):
            time = LegalTime(50)
            sent_us = 5000000
            answered_us = sent_us + there_us
            received_us = answered_us + back_us
            # the gateway states whole milliseconds, its bound says so
            learnt = time.learn(
                T_MS + answered_us // 1000,
                1,
                mono_ms(sent_us, drift_ppm),
                mono_ms(received_us, drift_ppm),
            )
            assert learnt == 0
            for age_us in (0, 1, 19999999, 20000001, 3600000007, 86400000000):
                true_us = received_us + age_us
                mono = mono_ms(true_us, drift_ppm)
                off_us = abs((time.utc_ms(mono) - T_MS) * 1000 - true_us)
                # two more: the crystal's milliseconds are whole ones at both instants
                assert off_us <= (time.bound_ms(mono) + 2) * 1000, (drift_ppm, there_us, age_us)


def mono_ms(true_us, drift_ppm):
    """What a crystal that runs fast by drift_ppm shows, in whole milliseconds."""
    return true_us * (1000000 + drift_ppm) // 1000000000


def test_utc_from_outside_is_a_whole_number_within_the_calendar():
    for value in (0, 1, T_MS, LAST_UTC_MS):
        assert is_utc_ms(value), value
    for value in (-1, LAST_UTC_MS + 1, 1 << 64, 1.0, True, False, None, "5", b"5", []):
        assert not is_utc_ms(value), value
