"""Sharing by time beside the measured sections."""

from random import Random

import worked
from hypothesis import given, settings
from hypothesis import strategies as st
from random_points import random_point

from clsbench.settlement.by_time import misbooked, shares_by_time
from clsbench.settlement.document import read_point
from clsbench.settlement.sections import settle_point


def test_a_rod_that_runs_alone_is_booked_wrong_by_time():
    # 2 kW from 08:05 to 08:10 and nothing else: 167 are A's; by time a third of it, cut 55.67
    case = {"id": "rod", "window": "08:00 08:15", "import": "08:00=0 08:15=167"}
    case["events"] = ["1 begin A 08:05 i=0", "2 end A 08:10 i=167"]
    settled = settle_point(read_point(worked.document(case)["input"]))
    (book,) = settled.books
    told = misbooked(settled, book)
    assert told.measured == {"WIND": 167}
    assert told.by_time == {"HOME": 111, "WIND": 56}
    assert (told.wrong, told.of_transactions) == (111, 167)


@given(st.integers(0, 2**48))
@settings(max_examples=60, deadline=None)
def test_shares_by_time_add_up_too(seed):
    settled = settle_point(read_point(random_point(Random(seed))["input"]))
    for book in settled.books:
        for slot, shares in zip(book.slots, shares_by_time(settled, book), strict=True):
            assert sum(shares.values()) == (slot.total or 0)
            assert all(energy > 0 for energy in shares.values())
