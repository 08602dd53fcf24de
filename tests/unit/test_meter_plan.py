"""The planner needs no more reads than the best of all ways to cut the wanted registers."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.meters import catalogue
from dicamm.metering.meter import MeterProfile

KINDS = (("u16", 1), ("u32", 2), ("u64", 4))


def code(number):
    return bytes([1, 0, number, 8, 0, 255])


def profile(gaps, kinds):
    """A map of registers with these unlisted addresses before each."""
    rows, address = [], 0
    for number, (gap, (kind, words)) in enumerate(zip(gaps, kinds)):
        address += gap
        rows.append([code(number).hex(), address, 3, kind, 0, 30, 0, 0])
        address += words
    return MeterProfile({"model": "m", "registers": rows}), rows


def allowed(read, rows, limit, gap):
    """Whether a meter grants the read: short enough, and no long run of unlisted addresses."""
    listed = set()
    for row in rows:
        listed |= set(range(row[1], row[1] + dict(KINDS)[row[3]]))
    start, end = read
    run = longest = 0
    for address in range(start, end):
        run = 0 if address in listed else run + 1
        longest = max(longest, run)
    return end - start <= limit and longest <= gap


def fewest(wanted, rows, limit, gap):
    """By trying every way to cut the wanted registers, in order, into runs."""
    spans = sorted((row[1], row[1] + dict(KINDS)[row[3]]) for row in wanted)
    for pieces in range(1, len(spans) + 1):
        for cuts in combinations(range(1, len(spans)), pieces - 1):
            parts = [spans[a:b] for a, b in pairwise((0, *cuts, len(spans)))]
            if all(allowed((part[0][0], part[-1][1]), rows, limit, gap) for part in parts):
                return pieces
    raise AssertionError("single registers are always allowed")


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 7), st.integers(4, 14), st.integers(0, 5))
def test_no_way_to_cut_needs_fewer_reads(data, size, limit, gap):
    gaps = data.draw(st.lists(st.integers(0, 6), min_size=size, max_size=size))
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=size, max_size=size))
    meter, rows = profile(gaps, kinds)
    asked = data.draw(st.sets(st.integers(0, size - 1), min_size=1))
    wanted = [rows[number] for number in asked]
    reads = meter.plan([code(number) for number in asked], limit, gap)
    assert len(reads) == fewest(wanted, rows, limit, gap)
    assert all(allowed((at, at + count), rows, limit, gap) for _, at, count in reads)
    for row in wanted:
        end = row[1] + dict(KINDS)[row[3]]
        assert any(at <= row[1] and end <= at + count for _, at, count in reads)


def test_listed_registers_between_may_be_read_along():
    meter, _ = profile((0, 0, 0), (KINDS[1],) * 3)
    assert meter.plan([code(0), code(2)], max_gap=0) == [(3, 0, 6)]
    assert meter.plan([code(0), code(2)], 5, 0) == [(3, 0, 2), (3, 4, 2)]


# (reads for all registers, reads for import, export and power)
COUNTS = {
    "abb_b21": (6, 2),
    "abb_b23": (7, 2),
    "eastron_sdm120": (2, 1),
    "eastron_sdm630": (2, 1),
    "finder_7m38": (8, 2),
    "gavazzi_em340": (7, 3),
    "orno_we516": (9, 2),
    "siemens_pac2200": (6, 3),
    "schneider_iem3155": (9, 2),
}


@pytest.mark.parametrize("model", sorted(COUNTS))
def test_reads_of_known_meters(model):
    meter = MeterProfile(catalogue.compact(model))
    everything = meter.plan(meter.obis_codes)
    billing = meter.plan([bytes([1, 0, c, d, 0, 255]) for c, d in ((1, 8), (2, 8), (16, 7))])
    assert (len(everything), len(billing)) == COUNTS[model]
