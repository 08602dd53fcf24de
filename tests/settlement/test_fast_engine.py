"""The fast engine against the core: the same digits, states, qualities and doubts."""

from random import Random

import pytest
import worked
from hypothesis import given, settings
from hypothesis import strategies as st
from random_points import random_point

from clsbench.settlement import columns as columns_module
from clsbench.settlement import fast
from clsbench.settlement.document import read_point
from clsbench.settlement.sections import settle_point

STATES = ("missing", "settled", "faulty")
QUALITIES = ("none", "measured", "substitute")
HAND = [case for case in worked.cases() if "mode" not in case]


def same(document):
    """Asserts that both engines agree; whether the core did it alone."""
    point = read_point(document["input"])
    columns = columns_module.columns_of(point)
    result = fast.settle_columns(columns)
    settled = settle_point(point)
    for book, own, told in zip(
        settled.books, result.books, fast.shares(columns, result), strict=True
    ):
        assert [None if t < 0 else t for t in own.total.tolist()] == [s.total for s in book.slots]
        assert [STATES[n] for n in own.state] == [s.state for s in book.slots]
        assert [QUALITIES[n] for n in own.quality] == [s.quality for s in book.slots]
        parts = [{(p.group, p.uuid): p.energy for p in s.parts} for s in book.slots]
        assert told["parts"] == parts
        energies = dict(zip(result.uuids, own.tx_energy.tolist(), strict=True))
        for one in settled.transactions:
            energy = settled.energy(one, book)
            assert energies[one.uuid] == (-1 if energy is None else energy)
    assert doubts(result.findings) == doubts(settled.findings)
    return result.by_core is not None


def doubts(findings):
    return sorted({(f.code, f.at_ms or 0, f.uuid or "", f.direction or "") for f in findings})


@given(st.integers(0, 2**48))
@settings(max_examples=200, deadline=None)
def test_same_digits_on_faulty_points(seed):
    same(random_point(Random(seed)))


@given(st.integers(0, 2**48))
@settings(max_examples=60, deadline=None)
def test_same_digits_on_sound_points(seed):
    assert not same(random_point(Random(seed), sound=True))


@pytest.mark.parametrize("case", HAND, ids=[case["id"] for case in HAND])
def test_same_digits_on_the_worked_cases(case):
    same(worked.document(case))


def test_few_faulty_points_need_the_core_alone():
    alone = sum(same(random_point(Random(seed))) for seed in range(300))
    assert 0 < alone < 200
