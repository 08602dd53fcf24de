"""The plant's loads: energy is exact, bounded, and the same however time is cut."""

import threading
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.errors import BadInput
from clsbench.meters.load import BaseLoad, Feeder, HeatingRod, Plant, Reading

START_MS = 1_777_882_500_123
SPANS = st.lists(st.integers(1, 20_000), min_size=1, max_size=12)
EDGES = st.lists(st.tuples(st.integers(0, 30_000), st.booleans()), max_size=8)


def run(load, edges, end_ms, stops=()):
    """Applies (t_ms, closed) edges in order of time, stopping at further instants on the way."""
    moments = sorted(
        [(t, closed) for t, closed in edges] + [(t, None) for t in stops],
        key=lambda moment: moment[0],
    )
    for t_ms, closed in moments:
        if closed is None:
            load.advance(t_ms)
        else:
            load.set_relay(closed, t_ms)
    load.advance(end_ms)
    return load


def at(edges):
    return [(START_MS + offset, closed) for offset, closed in sorted(edges, key=lambda e: e[0])]


@settings(max_examples=60, deadline=None)
@given(EDGES, st.lists(st.integers(0, 40_000), max_size=10))
def test_energy_and_history_do_not_depend_on_how_time_is_cut(edges, stops):
    end_ms = START_MS + 40_000
    whole = run(HeatingRod(start_ms=START_MS), at(edges), end_ms)
    cut = run(HeatingRod(start_ms=START_MS), at(edges), end_ms, [START_MS + s for s in stops])
    assert (whole.energy_w_ms, whole.power_w) == (cut.energy_w_ms, cut.power_w)
    assert whole.history() == cut.history()


@settings(max_examples=60, deadline=None)
@given(EDGES)
def test_energy_is_the_integral_of_the_history(edges):
    end_ms = START_MS + 40_000
    rod = run(HeatingRod(start_ms=START_MS), at(edges), end_ms)
    steps = [*rod.history(), (end_ms, False, 0)]
    assert sum(a[2] * (b[0] - a[0]) for a, b in pairwise(steps)) == rod.energy_w_ms
    assert all(power == 0 for _, relay, power in steps if not relay)
    assert all(power <= rod.max_power_w for _, _, power in steps)


@settings(max_examples=40, deadline=None)
@given(SPANS)
def test_no_energy_while_the_relay_is_open(spans):
    rod = HeatingRod(start_ms=START_MS)
    now_ms = START_MS
    for span in spans:
        now_ms += span
        rod.advance(now_ms)
        assert (rod.energy_w_ms, rod.power_w) == (0, 0)


@settings(max_examples=40, deadline=None)
@given(SPANS)
def test_energy_never_exceeds_the_largest_power(spans):
    rod = HeatingRod(start_ms=START_MS)
    rod.set_relay(True, START_MS)
    now_ms = START_MS
    for span in spans:
        before = rod.energy_w_ms
        now_ms += span
        rod.advance(now_ms)
        assert 6000 * span <= rod.energy_w_ms - before <= rod.max_power_w * span


def test_an_edge_inside_a_step_counts_to_the_millisecond():
    rod = HeatingRod(power_w=6000, cold_excess_permille=0, start_ms=START_MS)
    rod.set_relay(True, START_MS + 100)
    rod.set_relay(False, START_MS + 137)
    rod.advance(START_MS + 5000)
    assert rod.energy_w_ms == 6000 * 37


def test_cold_rod_starts_above_rated_power_and_settles_in_forty_seconds():
    rod = HeatingRod(power_w=6000, start_ms=0)
    rod.set_relay(True, 0)
    powers = []
    for second in range(50):
        rod.advance(second * 1000)
        powers.append(rod.power_w)
    assert powers[0] == rod.max_power_w == 6240
    assert powers[:41] == sorted(powers[:41], reverse=True) and len(set(powers[:41])) == 41
    assert powers[40:] == [6000] * 10


def test_a_short_break_brings_back_only_part_of_the_cold_excess():
    rod = HeatingRod(power_w=6000, start_ms=0)
    rod.set_relay(True, 0)
    rod.set_relay(False, 60_000)
    rod.set_relay(True, 90_000)
    assert rod.power_w == 6000 + 240 * 30 // 120
    rod.set_relay(False, 200_000)
    rod.set_relay(True, 400_000)
    assert rod.power_w == 6240


def test_thermostat_switches_between_its_two_temperatures():
    rod = HeatingRod(tank_litre=1, water_mc=55_000, loss_mw_per_k=60_000, start_ms=0)
    rod.set_relay(True, 0)
    for second in range(600):
        rod.advance(second * 1000)
        assert 54_000 < rod.water_mc < 65_000 + 1_000
    on = [power > 0 for _, _, power in rod.history()]
    assert sum(a != b for a, b in pairwise(on)) > 4


def test_tank_warms_by_the_energy_put_in():
    rod = HeatingRod(power_w=6000, cold_excess_permille=0, loss_mw_per_k=0, start_ms=0)
    rod.set_relay(True, 0)
    rod.advance(600_000)
    assert rod.water_mc == 45_000 + 6000 * 600_000 * 1000 // (300 * 4_186_000)


def test_time_does_not_run_back():
    rod = HeatingRod(start_ms=START_MS)
    rod.set_relay(True, START_MS + 5000)
    energy_w_ms = rod.energy_w_ms
    rod.advance(START_MS)
    assert (rod.now_ms, rod.energy_w_ms) == (START_MS + 5000, energy_w_ms)
    assert rod.set_relay(False, START_MS) == START_MS + 5000


def test_base_load_repeats_every_day_and_stays_within_its_limit():
    day_ms = 86_400_000
    first, second = BaseLoad(start_ms=0), BaseLoad(start_ms=day_ms * 20_000)
    first.advance(day_ms)
    second.advance(day_ms * 20_001)
    assert first.energy_w_ms == second.energy_w_ms
    assert 5_000 < first.energy_w_ms // 3_600_000 < 12_000  # Wh of a household's day
    powers = [power for _, _, power in first.history()]
    assert min(powers) > 0 and max(powers) <= first.max_power_w


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3_600_000), max_size=8))
def test_base_load_is_additive(stops):
    cut, whole = BaseLoad(start_ms=START_MS), BaseLoad(start_ms=START_MS)
    for stop in sorted(stops):
        cut.advance(START_MS + stop)
    for load in (cut, whole):
        load.advance(START_MS + 3_600_000)
    assert cut.energy_w_ms == whole.energy_w_ms


def test_feeder_is_the_sum_of_its_loads():
    rod, base = HeatingRod(start_ms=0), BaseLoad(start_ms=0)
    feeder = Feeder([rod, base])
    rod.set_relay(True, 0)
    feeder.advance(125_500)
    assert feeder.energy_w_ms == rod.energy_w_ms + base.energy_w_ms > 0
    assert feeder.power_w == rod.power_w + base.power_w <= feeder.max_power_w


def test_meters_of_one_plant_share_one_time():
    rod, base = HeatingRod(), BaseLoad()
    plant = Plant(rod, {"mid": Feeder([rod]), "house": Feeder([rod, base])})
    plant.set_relay(True, START_MS)
    mid = plant.reading("mid", START_MS + 10_000)
    house = plant.reading("house", START_MS + 9_000)
    assert house.t_ms == mid.t_ms == START_MS + 10_000
    assert house.energy_w_ms - mid.energy_w_ms == base.energy_w_ms
    with pytest.raises(BadInput, match="no feeder 'lmn'"):
        plant.reading("lmn", START_MS)


def test_a_late_edge_counts_from_the_last_reading_given_out():
    plant = Plant(HeatingRod(power_w=1000, cold_excess_permille=0))
    plant.reading("mid", START_MS)
    given_out = plant.reading("mid", START_MS + 500)
    assert plant.set_relay(True, START_MS + 480) == START_MS + 500
    assert plant.reading("mid", START_MS + 500) == Reading(START_MS + 500, 0, 1000)
    assert given_out.energy_w_ms == 0 and plant.relay
    assert (plant.late_edges, plant.latest_edge_ms) == (1, 20)


def test_readings_stay_monotone_while_another_thread_switches():
    plant = Plant(HeatingRod())
    plant.advance(START_MS)
    seen = []

    def switch():
        for n in range(400):
            plant.set_relay(n % 2 == 0, START_MS + 25 * n)

    thread = threading.Thread(target=switch)
    thread.start()
    for n in range(400):
        seen.append(plant.reading("mid", START_MS + 25 * n))
    thread.join()
    assert all(a.t_ms <= b.t_ms and a.energy_w_ms <= b.energy_w_ms for a, b in pairwise(seen))
    total = plant.reading("mid", START_MS + 60_000)
    steps = [*plant.history(), (total.t_ms, False, 0)]
    assert sum(a[2] * (b[0] - a[0]) for a, b in pairwise(steps)) == total.energy_w_ms


@pytest.mark.parametrize("wrong", [{"power_w": 0}, {"on_mc": 70_000}, {"loss_mw_per_k": -1}])
def test_senseless_rods_are_refused(wrong):
    with pytest.raises(BadInput, match="heating rod"):
        HeatingRod(**wrong)


def test_base_load_needs_a_power_for_every_hour():
    with pytest.raises(BadInput, match="24 powers"):
        BaseLoad([100] * 23)
