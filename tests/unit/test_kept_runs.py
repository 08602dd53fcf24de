"""Runs of numbers kept in memory are those of the data base, whatever order numbers come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clsbench.device.intake import MAX_RANGES, missing
from clsbench.emt.store import Conflict, EmtStore, GatewayRecord
from clsbench.store.runs import KeptRuns, add_number

CHAIN = ("ETST0010000001", "taf16")


def runs_of_set(numbers):
    found = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


@given(st.lists(st.integers(1, 40)))
def test_numbers_in_any_order_give_the_runs_of_their_set(numbers):
    runs = []
    for number in numbers:
        add_number(runs, number)
    assert runs == runs_of_set(set(numbers))


def test_a_series_is_read_once_and_only_when_it_is_asked_for():
    asked = []

    def load(name):
        asked.append(name)
        return [(1, 3)]

    kept = KeptRuns(load)
    kept.add(9, "a")  # in the data base already when that is read
    assert (kept.of("a"), asked) == ([(1, 3)], ["a"])
    kept.add(4, "a")
    kept.add(6, "a")
    assert (kept.of("a"), asked) == ([(1, 4), (6, 6)], ["a"])
    kept.forget()
    assert (kept.of("a"), asked) == ([(1, 3)], ["a", "a"])


def record(seq: int, content: bytes = b"one") -> GatewayRecord:
    return GatewayRecord(*CHAIN, seq, None, "taf16", content, b"", 0)


def add_two_of_one_number(store: EmtStore) -> None:
    store.add_gateway_record(record(2))
    store.add_gateway_record(record(2, b"another"))


def test_the_emt_misses_what_it_did_not_commit_also_after_a_restart(tmp_path):
    store = EmtStore(tmp_path / "emt.sqlite")
    for seq in (1, 4, 5):
        store.add_gateway_record(record(seq))
    assert store.missing_gateway_records(*CHAIN) == [(2, 3)]
    with pytest.raises(Conflict), store.batch():
        add_two_of_one_number(store)
    assert store.missing_gateway_records(*CHAIN) == [(2, 3)]
    with store.batch():
        store.add_gateway_record(record(3))
    assert store.missing_gateway_records(*CHAIN) == [(2, 2)]
    store.close()
    again = EmtStore(tmp_path / "emt.sqlite")
    assert again.missing_gateway_records(*CHAIN) == [(2, 2)]
    again.close()


def test_of_many_gaps_the_first_ones_are_asked_for():
    runs = [(number, number) for number in range(1, 100, 2)]
    assert missing(runs, 1) == [(n, n) for n in range(2, 2 + 2 * MAX_RANGES, 2)]
