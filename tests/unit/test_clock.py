"""The bench's clock: fast, shared by specification, never early; times in ISO 8601."""

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.clock import BenchClock, iso
from clsbench.errors import BadInput

T_MS = 1_777_882_500_000  # 2026-05-04 08:15:00 UTC


def test_without_a_word_it_is_the_walls_clock():
    before = time.time_ns()
    now = BenchClock().now_ns()
    assert before - 2_000_000 <= now <= time.time_ns() + 2_000_000


@pytest.mark.parametrize("speed", [1, 150, 10_000])
def test_bench_time_runs_speed_times_as_fast(speed, monkeypatch):
    clock = BenchClock(speed, T_MS, mono_ns=5_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_000)
    assert clock.now_ms() == T_MS
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_000 + 2_000_000_007)
    assert clock.now_ns() == T_MS * 1_000_000 + 2_000_000_007 * speed
    assert clock.now_ms() == T_MS + 2000 * speed + 7 * speed // 1_000_000


@pytest.mark.parametrize("speed", [0, -1])
def test_a_clock_that_stands_or_runs_backwards_is_refused(speed):
    with pytest.raises(BadInput, match=f"clock speed {speed}: must be 1 or more"):
        BenchClock(speed)
    with pytest.raises(BadInput, match="must be 1 or more"):
        BenchClock.from_spec(f"speed={speed}")


@given(st.integers(1, 10**6), st.integers(0, 10**14), st.integers(0, 2**63))
@settings(max_examples=50)
def test_a_specification_gives_the_same_clock(speed, utc_ms, mono_ns):
    again = BenchClock.from_spec(BenchClock(speed, utc_ms, mono_ns).spec())
    assert (again.speed, again.utc_ms, again.mono_ns) == (speed, utc_ms, mono_ns)


def test_an_empty_specification_is_the_walls_clock():
    clock = BenchClock.from_spec("")
    before_ms = time.time_ns() // 1_000_000
    now_ms = clock.now_ms()
    assert clock.speed == 1
    assert before_ms - 1000 < now_ms < time.time_ns() // 1_000_000 + 1000


def test_a_clock_made_while_its_process_is_held_up_is_right_all_the_same(monkeypatch):
    now_ns, looks = 5_000, 0

    def held_up() -> int:  # for two seconds, between the look at the one clock and at the other
        nonlocal now_ns, looks
        looks += 1
        now_ns += 2_000_000_000 if looks == 1 else 1_000
        return T_MS * 1_000_000 + now_ns

    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    monkeypatch.setattr(time, "time_ns", held_up)
    assert abs(BenchClock().now_ns() - T_MS * 1_000_000 - now_ns) < 2_000_000


@pytest.mark.parametrize(
    "text", ["fast", "speed=", "speed=x", "speed=1.5", "speed", "pace=3", "speed=1;utc_ms=5", "=1"]
)
def test_a_specification_without_sense_is_quoted(text):
    with pytest.raises(BadInput, match=f"clock '{text}': expected speed=N,utc_ms=N,mono_ns=N"):
        BenchClock.from_spec(text)


def test_two_processes_agree_to_the_millisecond():
    clock = BenchClock(speed=100, utc_ms=T_MS)
    script = (
        "import sys, time; from clsbench.clock import BenchClock; "
        "print(time.monotonic_ns(), BenchClock.from_spec(sys.argv[1]).now_ns(),"
        " time.monotonic_ns())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, clock.spec()], capture_output=True, text=True, check=True
    )
    before, theirs, after = map(int, done.stdout.split())
    ours = [T_MS * 10**6 + (mono - clock.mono_ns) * 100 for mono in (before, after)]
    assert ours[0] <= theirs <= ours[1]


async def test_a_sleep_lasts_its_bench_time():
    clock = BenchClock(speed=2000)
    began = time.monotonic()
    await clock.sleep_ms(100_000)
    assert 0.05 <= time.monotonic() - began < 50  # not 100 s


async def test_a_sleep_into_the_past_is_over_at_once():
    clock = BenchClock(utc_ms=T_MS)
    began = time.monotonic()
    await clock.sleep_ms(-100_000)
    await clock.sleep_until_ms(T_MS - 100_000)
    assert time.monotonic() - began < 50


@pytest.mark.parametrize("speed", [1, 7, 1000])
async def test_a_sleep_until_an_instant_never_wakes_early(speed):
    clock = BenchClock(speed)
    for step_ms in (1, 3, 20):
        until_ms = clock.now_ms() + step_ms
        await clock.sleep_until_ms(until_ms)
        assert clock.now_ms() >= until_ms


@pytest.mark.parametrize(
    ("utc_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (T_MS + 250, "2026-05-04T08:15:00.250Z"),
        (951_782_400_007, "2000-02-29T00:00:00.007Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_milliseconds_read_as_iso_8601(utc_ms, text):
    assert iso(utc_ms) == text
