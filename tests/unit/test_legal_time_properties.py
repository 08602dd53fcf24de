"""Legal time under random crystals, delays and gateways: UTC lies within the stated bound."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dicamm.metering.legal_time import MAX_ROUND_TRIP_MS, LegalTime

T_MS = 1_777_882_500_000
STATED_PPM = 50
WANDER_PPM = STATED_PPM * 2 // 5  # what temperature may change after the drift was measured

answers = st.lists(
    st.tuples(
        st.integers(1, 4 * 86_400_000),  # true ms since the answer before
        st.integers(0, 12_000),  # ms there
        st.integers(0, 12_000),  # ms back
        st.integers(-WANDER_PPM // 2, WANDER_PPM // 2),  # ppm of temperature until then
        st.integers(0, 500),  # bound the gateway states
        st.integers(-100, 100),  # percent of that bound by which it is off
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(st.integers(-STATED_PPM + WANDER_PPM // 2, STATED_PPM - WANDER_PPM // 2), answers)
def test_utc_lies_within_the_bound_and_does_not_run_backwards_between_answers(ppm, told):
    time = LegalTime(STATED_PPM)
    true_us, crystal_ns = 0, 0  # the crystal counts 1 + (ppm + warmth) / 10**6

    def run(ms, warmth):
        nonlocal true_us, crystal_ns
        true_us += ms * 1000
        crystal_ns += ms * (1_000_000 + ppm + warmth)
        return crystal_ns // 1_000_000

    for pause, there, back, warmth, bound, off in told:
        shown = None
        for part in (pause // 3, pause - pause // 3):
            mono = run(part, warmth)
            assert_within(time, mono, true_us)
            assert shown is None or time.utc_ms(mono) >= shown
            shown = time.utc_ms(mono)
        sent = mono
        run(there, warmth)
        said = T_MS + true_us // 1000 + bound * off // 100
        received = run(back, warmth)
        step = time.learn(said, bound, sent, received)
        if received - sent > MAX_ROUND_TRIP_MS:
            assert step is None
        else:
            assert_within(time, received, true_us)
    assert time.steps == 0  # nobody lied: nothing contradicts


def assert_within(time, mono, true_us):
    shown = time.utc_ms(mono)
    if shown is not None:
        off_us = abs((shown - T_MS) * 1000 - true_us)
        assert off_us <= (time.bound_ms(mono) + 2) * 1000


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(-(10**13), 10**13), st.integers(0, 10**5)),
        max_size=20,
    )
)
def test_any_gateway_whatever_it_says_leaves_a_clock_with_a_bound(told):
    time = LegalTime(STATED_PPM)
    mono = 0
    for pause, offset, bound in told:
        mono += pause
        before = time.utc_ms(mono), time.bound_ms(mono)
        step = time.learn(max(0, T_MS + offset), bound, mono, mono + 10)
        if step is None:
            assert (time.utc_ms(mono), time.bound_ms(mono)) == before
        assert time.bound_ms(mono) >= 0 and abs(time.drift_ppb) <= STATED_PPM * 1000
