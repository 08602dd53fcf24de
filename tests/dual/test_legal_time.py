"""Legal time: what is learnt, how far it can be off, and when it stops being good for billing."""

from dicamm.metering.legal_time import (
    DRIFT_WINDOW_MS,
    HOLDOVER,
    LAST_UTC_MS,
    MAX_BOUND_MS,
    MAX_ROUND_TRIP_MS,
    SLEW_MAX_MS,
    SYNCHRONISED,
    UNSET,
    LegalTime,
    is_utc_ms,
)

T_MS = 1777882500000  # 2026-05-04 08:15 UTC
HOUR_MS = 3600000


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
    assert time.bound_ms(1200) == 10 + 200 + 1  # one: both clocks count whole milliseconds
    assert time.state(1400) == SYNCHRONISED


def test_an_instant_before_the_first_answer_gets_its_time_afterwards():
    time = synchronised(at_ms=100000)
    assert time.utc_ms(40000) == T_MS - 60000
    assert time.bound_ms(40000) == 1 + 3  # a minute of 50 ppm, backwards as forwards


def test_an_odd_round_trip_counts_as_the_longer_half():
    time = LegalTime()
    time.learn(T_MS, 0, 1000, 1001)
    assert time.bound_ms(1000) == 1 + 1


def test_the_bound_grows_with_the_stated_drift():
    time = synchronised(bound_ms=6)
    assert time.bound_ms(1000) == 7
    assert time.bound_ms(1000 + 1000000) == 7 + 50
    assert time.bound_ms(1000 + 86400000) == 7 + 4320


def test_part_of_a_millisecond_counts_whole():
    time = synchronised(drift_ppm=100)
    assert time.bound_ms(1000) == 1
    assert time.bound_ms(1001) == 2
    assert time.bound_ms(1000 + 10000) == 2
    assert time.bound_ms(1000 + 10001) == 3


def test_holdover_begins_where_the_bound_reaches_three_percent_of_a_quarter_hour():
    assert MAX_BOUND_MS == 900000 * 3 // 100
    time = synchronised(drift_ppm=1000000)  # grows a millisecond each millisecond
    assert time.state(1000 + MAX_BOUND_MS - 2) == SYNCHRONISED
    assert time.state(1000 + MAX_BOUND_MS - 1) == HOLDOVER
    assert time.utc_ms(1000 + MAX_BOUND_MS) == T_MS + MAX_BOUND_MS  # still the best there is


def test_an_answer_with_too_wide_a_bound_is_holdover_at_once():
    assert synchronised(bound_ms=MAX_BOUND_MS - 1).state(1000) == HOLDOVER
    assert synchronised(bound_ms=MAX_BOUND_MS - 2).state(1000) == SYNCHRONISED


def test_an_answer_that_took_longer_than_nine_seconds_is_ignored():
    assert MAX_ROUND_TRIP_MS == 9000
    time = LegalTime()
    assert time.learn(T_MS, 0, 1000, 10001) is None
    assert time.state(10001) == UNSET and time.ignored == 1
    assert time.learn(T_MS, 0, 1000, 10000) == 0
    assert time.bound_ms(5500) == 4501


def test_an_answer_from_before_its_question_is_ignored():
    time = LegalTime()
    assert time.learn(T_MS, 0, 1000, 999) is None
    assert time.ignored == 1 and time.state(999) == UNSET


def test_what_both_answers_allow_is_kept():
    time = synchronised(bound_ms=99)  # within 100 of T_MS at 1000
    assert time.learn(T_MS + 80, 39, 1000, 1000) == 70  # within 40 of T_MS + 80: from 40 to 100
    assert time.bound_ms(1000) == 30 + 70  # 70 still to be worked off
    assert time.utc_ms(1000) == T_MS
    later = 1000 + 140000  # 70 ms at 500 ppm
    assert time.utc_ms(later) == T_MS + 140000 + 70
    assert time.bound_ms(later) == 30 + 7


def test_a_worse_answer_that_agrees_changes_nothing():
    time = synchronised(bound_ms=5)
    assert time.learn(T_MS + 20, 500, 1000, 1000) is None
    assert time.utc_ms(1000) == T_MS and time.bound_ms(1000) == 6
    assert time.ignored == 1


def test_a_small_correction_is_slewed_and_time_never_runs_backwards():
    for sign in (1, -1):
        time = synchronised(bound_ms=200)
        now = T_MS + sign * 60 + 600000
        assert time.learn(now, 0, 601000, 601000) == sign * 60
        shown = [time.utc_ms(mono) for mono in range(600990, 601000 + 130000, 7)]
        for before, after in zip(shown, shown[1:]):
            assert 6 <= after - before <= 8
        assert time.utc_ms(601000) == T_MS + 600000
        assert time.utc_ms(601000 + 120000) == now + 120000


def test_a_large_correction_within_the_bounds_is_a_step():
    time = synchronised(bound_ms=5000)
    correction = SLEW_MAX_MS + 1
    assert time.learn(T_MS + correction, 0, 1000, 1000) == correction
    assert time.utc_ms(1000) == T_MS + correction and time.bound_ms(1000) == 1


def test_one_answer_that_contradicts_changes_nothing():
    time = synchronised()
    for wrong in (HOUR_MS, -HOUR_MS, 10 * HOUR_MS):
        assert time.learn(T_MS + wrong, 0, 1000, 1000) is None
        assert time.learn(T_MS, 0, 1000, 1000) is None  # nothing new, but no doubt any more
    assert time.utc_ms(1000) == T_MS and time.steps == 0 and time.ignored == 6


def test_two_wrong_answers_that_contradict_each_other_change_nothing():
    time = synchronised()
    assert time.learn(T_MS + HOUR_MS, 0, 1000, 1000) is None
    assert time.learn(T_MS - HOUR_MS, 0, 2000, 2000) is None
    assert time.utc_ms(1000) == T_MS


def test_the_second_answer_that_contradicts_alike_steps_the_clock_either_way():
    for step in (HOUR_MS, -HOUR_MS, 10 * 365 * 24 * HOUR_MS):
        time = synchronised()
        assert time.learn(T_MS + step, 0, 1000, 1000) is None
        assert time.learn(T_MS + step + 60003, 0, 61000, 61000) == step + 3
        assert time.utc_ms(61000) == T_MS + step + 60003
        assert time.bound_ms(61000) == 1 and time.steps == 1


def test_a_person_who_sets_the_clock_needs_no_second_word():
    time = synchronised()
    assert time.learn(T_MS - HOUR_MS, 5, 1000, 1000, True) == -HOUR_MS
    assert time.utc_ms(1000) == T_MS - HOUR_MS and time.bound_ms(1000) == 6


def mono_ms(true_us, drift_ppm):
    """What a crystal that runs fast by drift_ppm shows, in whole milliseconds."""
    return true_us * (1000000 + drift_ppm) // 1000000000


def test_the_bound_holds_for_every_crystal_within_its_drift():
    """A true clock against the device's, a crystal at either edge, at every age and round trip."""
    for drift_ppm in (-50, -49, 0, 1, 50):
        for there_us, back_us in ((0, 0), (999, 1), (0, 7001), (300000, 0), (4000001, 3999999)):
            time = LegalTime(50)
            sent_us = 5000000
            answered_us = sent_us + there_us
            received_us = answered_us + back_us
            # the gateway states whole milliseconds, its bound says so
            sent, received = mono_ms(sent_us, drift_ppm), mono_ms(received_us, drift_ppm)
            assert time.learn(T_MS + answered_us // 1000, 1, sent, received) == 0
            for age_us in (0, 1, 19999999, 20000001, 3600000007, 86400000000):
                true_us = received_us + age_us
                mono = mono_ms(true_us, drift_ppm)
                off_us = abs((time.utc_ms(mono) - T_MS) * 1000 - true_us)
                # two more: the crystal's milliseconds are whole ones at both instants
                assert off_us <= (time.bound_ms(mono) + 2) * 1000, (drift_ppm, there_us, age_us)


def fed(drift_ppm, span_ms, every_ms=HOUR_MS):
    """A clock of 50 ppm whose crystal runs fast by drift_ppm, told the time for a span."""
    time = LegalTime(50)
    for true_ms in range(0, span_ms + 1, every_ms):
        mono = mono_ms(true_ms * 1000, drift_ppm)
        time.learn(T_MS + true_ms, 0, mono - 20, mono + 20)
    assert time.steps == time.ignored == 0
    return time


def test_the_drift_is_measured_and_kept_through_days_without_an_answer():
    for drift_ppm in (-50, -13, 0, 50):
        time = fed(drift_ppm, DRIFT_WINDOW_MS)
        assert abs(time.drift_ppb + drift_ppm * 1000) <= 1000
        away_ms = 10 * 86400000
        mono = mono_ms((DRIFT_WINDOW_MS + away_ms) * 1000, drift_ppm)
        off = abs(time.utc_ms(mono) - (T_MS + DRIFT_WINDOW_MS + away_ms))
        assert off <= 1000  # a crystal that has not changed: 1 ppm, not 50
        assert off <= time.bound_ms(mono)
        # 22 ppm at most grow in ten days to less than 27 s; 50 ppm would be 43 s
        assert time.state(mono) == SYNCHRONISED
        assert synchronised().state(away_ms) == HOLDOVER


def test_the_bound_holds_when_the_temperature_changes_after_the_drift_was_measured():
    for before, after in ((-20, 0), (30, 50), (0, -20), (-50, -30)):
        time = fed(before, DRIFT_WINDOW_MS)
        start = mono_ms(DRIFT_WINDOW_MS * 1000, before)
        for age_ms in (1000, HOUR_MS, 3 * 86400000):
            mono = start + mono_ms(age_ms * 1000, after)
            off = abs(time.utc_ms(mono) - (T_MS + DRIFT_WINDOW_MS + age_ms))
            assert off <= time.bound_ms(mono) + 2, (before, after, age_ms)


def test_a_step_forgets_the_measured_drift():
    time = fed(40, DRIFT_WINDOW_MS)
    assert time.drift_ppb < -30000
    at = mono_ms((DRIFT_WINDOW_MS + HOUR_MS) * 1000, 40)
    time.learn(T_MS, 0, at, at, True)
    assert time.drift_ppb == 0 and time.bound_ms(at + 1000000) == 1 + 50


def test_utc_from_outside_is_a_whole_number_within_the_calendar():
    for value in (0, 1, T_MS, LAST_UTC_MS):
        assert is_utc_ms(value), value
    for value in (-1, LAST_UTC_MS + 1, 1 << 64, 1.0, True, False, None, "5", b"5", []):
        assert not is_utc_ms(value), value
