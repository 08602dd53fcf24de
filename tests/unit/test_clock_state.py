"""The gateway's legal time: unset, synchronised, holdover, and what moves it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from clsbench.smgw.config import SmgwSection
from clsbench.smgw.core import clock_state
from clsbench.smgw.core.clock_state import (
    HOLDOVER,
    SYNCHRONISED,
    UNSET,
    LegalClock,
    TimeState,
)
from clsbench.smgw.core.ntp import AnswerIgnored, Sample

S = 10**9
UTC = 1_790_000_000 * S


def sample(at_s: float, off_s: float = 0.0, bound_s: float = 0.1) -> Sample:
    """An answer at that second of the oscillator; off_s: what the server's time is wrong by."""
    at = int(at_s * S)
    return Sample(at, UTC + at + int(off_s * S), int(bound_s * S))


def synchronised(drift_ppm: int = 50) -> LegalClock:
    clock = LegalClock(drift_ppm)
    assert clock.learn(sample(0)).outcome == clock_state.SET
    return clock


def test_before_the_first_answer_time_is_unset_and_not_for_billing():
    clock = LegalClock()
    assert clock.state(5 * S) == TimeState(UNSET, None) and not clock.state(5 * S).valid
    assert clock.utc_ns(5 * S) == 5 * S
    assert clock.state_of_stamp(5_000, 6 * S).state == UNSET


def test_the_first_answer_sets_the_clock_however_far_it_jumps():
    clock = synchronised()
    assert clock.state(0) == TimeState(SYNCHRONISED, 100) and clock.state(0).valid
    assert clock.utc_ns(10 * S) == UTC + 10 * S


def test_the_bound_grows_with_the_stated_drift_past_27_s_into_holdover():
    clock = synchronised(drift_ppm=50)
    day = 86_400
    assert clock.state(day * S).bound_ms == 100 + 4_320
    last_valid, first_invalid = 26_898 * 20, 26_900 * 20  # seconds: 50 ppm is 1 ms in 20 s
    assert clock.state(last_valid * S) == TimeState(SYNCHRONISED, 26_998)
    assert clock.state(last_valid * S).valid
    assert clock.state(first_invalid * S) == TimeState(HOLDOVER, 27_000)
    assert not clock.state(first_invalid * S).valid


def test_an_answer_brings_a_clock_back_from_holdover():
    clock = synchronised(drift_ppm=1000)
    assert clock.state(30_000 * S).state == HOLDOVER
    learned = clock.learn(sample(30_000, off_s=12))
    assert learned.outcome == clock_state.NARROWED
    assert clock.state(30_000 * S) == TimeState(SYNCHRONISED, 100)
    assert clock.utc_ns(30_000 * S) == UTC + 30_012 * S


def test_an_answer_that_says_less_changes_nothing():
    clock = synchronised()
    assert clock.learn(sample(60, bound_s=4)).outcome == clock_state.NO_BETTER
    assert clock.state(60 * S).bound_ms == 103


def test_two_answers_are_worth_what_both_allow():
    clock = synchronised()
    clock.learn(sample(60, off_s=0.15, bound_s=0.1))
    state, shown = clock.state(60 * S), clock.utc_ns(60 * S)
    assert state.bound_ms == 103  # 27 ms of the interval, and 76 ms still to be slewed
    assert shown == UTC + 60 * S
    assert clock.state(300 * S).bound_ms == 39  # slewed by now: 27 ms, and 12 ms of drift
    assert abs(clock.utc_ns(300 * S) - (UTC + 300 * S + 76_500_000)) < 2_000_000


@pytest.mark.parametrize("off_s", [-1001, 1001, 10**8])
def test_a_jump_above_1000_s_is_ignored_while_synchronised(off_s):
    clock = synchronised()
    for at_s in (60, 120, 180):
        with pytest.raises(AnswerIgnored) as told:
            clock.learn(sample(at_s, off_s))
        assert told.value.reason == "jump"
    assert clock.utc_ns(180 * S) == UTC + 180 * S and clock.steps == 1


@pytest.mark.parametrize("off_s", [-5000, 5000])
def test_after_holdover_the_same_jump_counts_at_once(off_s):
    clock = synchronised(drift_ppm=1000)
    assert clock.learn(sample(30_000, off_s)).outcome == clock_state.SET
    assert clock.utc_ns(30_000 * S) == UTC + (30_000 + off_s) * S


@pytest.mark.parametrize("off_s", [-999, 3, 999])
def test_a_contradiction_steps_the_clock_only_when_the_next_answer_agrees(off_s):
    clock = synchronised()
    assert clock.learn(sample(60, off_s)).outcome == clock_state.DOUBTED
    assert clock.utc_ns(61 * S) == UTC + 61 * S
    learned = clock.learn(sample(120, off_s))
    assert learned.outcome == clock_state.STEPPED
    assert learned.correction_ns == off_s * S
    assert clock.utc_ns(120 * S) == UTC + (120 + off_s) * S and clock.steps == 2


def test_a_single_wrong_answer_is_forgotten_by_a_right_one():
    clock = synchronised()
    clock.learn(sample(60, 5))
    clock.learn(sample(120, 0))
    assert clock.learn(sample(180, 5)).outcome == clock_state.DOUBTED
    assert clock.learn(sample(240, -5)).outcome == clock_state.DOUBTED


def test_stamps_from_before_a_jump_are_worth_no_more_than_unset():
    clock = synchronised()
    for at_s in (60, 120):
        clock.learn(sample(at_s, 500))
    jumped_ms = UTC // 10**6 + 620_000
    now = 130 * S
    assert clock.state_of_stamp(jumped_ms, now).state == SYNCHRONISED
    assert clock.state_of_stamp(jumped_ms - 1, now).state == UNSET
    assert clock.state_of_stamp(jumped_ms + 10_101, now).state == SYNCHRONISED
    assert (
        clock.state_of_stamp(jumped_ms + 10_200, now).state == UNSET
    )  # of a clock that was ahead


@given(
    drift=st.integers(-50, 50),
    answers=st.lists(
        st.tuples(st.integers(60, 5000), st.integers(-100, 100), st.integers(100, 4000)),
        min_size=1,
        max_size=30,
    ),
)
@settings(max_examples=100, deadline=None)
def test_utc_always_lies_within_the_bound_and_small_corrections_never_run_backwards(
    drift, answers
):
    clock, at, shown_before = LegalClock(50), 0, None
    for pause_s, off_ms, bound_ms in answers:
        at += pause_s * S
        true_ns = UTC + at + at * drift // 1_000_000
        before = clock.utc_ns(at)
        learned = clock.learn(Sample(at, true_ns + off_ms * 10**6, bound_ms * 10**6))
        shown, bound = clock.utc_ns(at), clock.state(at).bound_ms
        assert bound is not None and abs(shown - true_ns) <= bound * 10**6
        if shown_before is not None and abs(learned.correction_ns) <= clock_state.SLEW_MAX_NS:
            assert shown == before >= shown_before
        shown_before = shown
    later = at + 86_400 * S
    true_ns = UTC + later + later * drift // 1_000_000
    assert abs(clock.utc_ns(later) - true_ns) <= (clock.state(later).bound_ms or 0) * 10**6


def test_a_configuration_cannot_claim_that_a_clock_off_by_27_s_is_synchronised():
    section = {"id": "ETST0010000001", "state_dir": "s", "time_bound_ms": 27_000}
    with pytest.raises(ValidationError, match="holdover"):
        SmgwSection.model_validate(section)
    assert SmgwSection.model_validate(section | {"time_state": "holdover"})
    assert SmgwSection.model_validate(section | {"time_bound_ms": 26_999})
