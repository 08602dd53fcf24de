"""What receivers of device records take, refuse, acknowledge and ask for again."""

import hashlib
from pathlib import Path

import cbor2
import pytest
from verify_kit import chain, fields_of, seal

from clsbench.device.intake import MAX_RANGES, acknowledged, link_fault, missing
from clsbench.emt.seal import open_sealed
from clsbench.errors import EnvironmentProblem
from clsbench.smgw.core.sealed import split_sequence
from clsbench.smgw.exchange import Exchange, Holding
from clsbench.smgw.store import Store
from clsbench.store.device_records import (
    REPEAT,
    STORED,
    Conflict,
    DeviceRecord,
    LinkBroken,
    opened,
)

CLS = "ETST0020000017"
EMT = "flexmarkt"


def previous_of(sealed: bytes) -> bytes | None:
    return open_sealed(sealed).previous


# the rules


@pytest.mark.parametrize(
    ("runs", "first", "mark", "lacking"),
    [
        ([], 1, 0, []),
        ([(1, 5)], 1, 5, []),
        ([(1, 2), (5, 5)], 1, 2, [(3, 4)]),
        ([(4, 6)], 1, 0, [(1, 3)]),
        ([(4, 6)], 4, 6, []),
        ([(1, 2), (6, 9)], 6, 9, []),
        ([(1, 2), (6, 9)], 4, 3, [(4, 5)]),
        ([(1, 9)], 4, 9, []),
        ([(1, 3)], 4, 3, []),
    ],
)
def test_what_is_acknowledged_and_what_is_missing(runs, first, mark, lacking):
    assert acknowledged(runs, first) == mark
    assert missing(runs, first) == lacking


def test_only_so_many_ranges_are_asked_for_at_once():
    runs = [(2 * number, 2 * number) for number in range(1, 30)]
    assert missing(runs, 1) == [(2 * n + 1, 2 * n + 1) for n in range(MAX_RANGES)]


def test_a_link_is_checked_against_both_neighbours():
    one, two, three = chain(3)
    link = hashlib.sha256(one).digest()[:8]
    assert link_fault(2, two, link, one, previous_of(three)) == ""
    assert "does not link to record 1" in link_fault(2, two, bytes(8), one, None)
    assert "record 3, which is stored" in link_fault(2, two, link, one, bytes(8))
    assert "something before it" in link_fault(1, one, link, None, None)


# the table of aEMT and command line


def record(sealed: bytes) -> DeviceRecord:
    opened_one = open_sealed(sealed)
    return DeviceRecord(CLS, opened_one.seq, None, None, sealed, True, 1, opened_one.previous)


def test_each_record_is_stored_once_and_links_to_its_neighbours(tmp_path: Path):
    records = chain(5)
    with opened(tmp_path / "records.sqlite", previous_of) as (_database, table):
        assert [table.add(record(each)) for each in records[:2]] == [STORED, STORED]
        assert table.add(record(records[1])) == REPEAT
        assert table.add(record(records[4])) == STORED
        with pytest.raises(Conflict, match="record 2 .* other bytes: the first one is kept"):
            table.add(record(seal(fields_of(2, bytes(8)))))
        with pytest.raises(LinkBroken, match="record 3 does not link to record 2"):
            table.add(record(seal(fields_of(3, bytes(8)))))
        with pytest.raises(LinkBroken, match="record 5, which is stored"):
            table.add(record(seal(fields_of(4, b"12345678"))))
        held = table.holding(CLS, 1)
        assert (held.acknowledged, held.missing) == (2, [(3, 4)])
        assert [row["seq"] for row in table.all()] == [1, 2, 5]
    with opened(tmp_path / "records.sqlite", previous_of) as (_database, table):
        assert table.sealed(CLS, 2) == records[1]


def test_a_store_has_one_writer(tmp_path: Path):
    path = tmp_path / "records.sqlite"
    refused = pytest.raises(EnvironmentProblem, match="another process")
    with opened(path, previous_of), refused, opened(path, previous_of):
        raise AssertionError("two writers")


# the SMGW


@pytest.fixture
def exchange(state: Path | str):
    store = Store(state)
    yield Exchange(store)
    store.close()


def taken(exchange: Exchange, *sealed: bytes, first: int = 0):
    return exchange.add_device_records(CLS, split_sequence(b"".join(sealed)), 1, first)


def test_sealed_records_are_acknowledged_up_to_the_first_gap(exchange):
    one, two, three, four, five = chain(5)
    assert exchange.holding(CLS) == Holding(0)
    holding, new, refused = taken(exchange, one, two, five)
    assert (holding, new, refused) == (Holding(2, ((5, 5),)), [1, 2, 5], [])
    holding, new, refused = taken(exchange, two, three, four)
    assert (holding, new, refused) == (Holding(5), [3, 4], [])


def test_a_fork_is_refused_replaces_nothing_and_holds_up_no_other(exchange):
    one, two, three, four, _five = chain(5)
    fork = seal(fields_of(2, bytes(8)))
    taken(exchange, one, two)
    holding, new, refused = taken(exchange, fork, three, seal(fields_of(4, bytes(8))))
    assert (holding, new) == (Holding(3), [3])
    assert "record 2 of ETST0020000017 is here with other bytes" in refused[0]
    assert "record 4 does not link to record 3" in refused[1]
    assert taken(exchange, four)[0] == Holding(4)
    assert [sealed for _seq, sealed in exchange.unforwarded(EMT, CLS, 0, 9)][1] == two


def test_a_gateway_that_lost_its_store_asks_for_what_the_device_still_has(exchange):
    records = chain(9)
    holding, _new, _refused = taken(exchange, *records[7:], first=3)
    assert holding == Holding(2, ((8, 9),), ((3, 7),))
    holding, _new, _refused = taken(exchange, *records[2:7], first=3)
    assert holding == Holding(9)


def test_records_are_forwarded_to_each_market_participant_once_and_again_when_asked(exchange):
    one, two = chain(2)
    taken(exchange, one, two)
    assert exchange.unforwarded(EMT, CLS, 0, 10) == [(1, one), (2, two)]
    assert exchange.unforwarded(EMT, CLS, 1, 10) == [(2, two)]
    exchange.forwarded(EMT, CLS, [1, 2], 9)
    assert exchange.unforwarded(EMT, CLS, 0, 10) == []
    assert exchange.unforwarded("other", CLS, 0, 1) == [(1, one)]
    assert exchange.send_again(EMT, CLS, [(1, 1), (5, 9)]) == 1
    assert exchange.unforwarded(EMT, CLS, 0, 10) == [(1, one)]


def test_the_gateway_reads_the_link_of_a_record_without_opening_its_seal():
    second = split_sequence(chain(2)[1])[0]
    assert second.previous == hashlib.sha256(chain(1)[0]).digest()[:8]
    bare = cbor2.dumps(cbor2.CBORTag(17, [b"", {}, cbor2.dumps({1: 1, 13: "text"}), b""]))
    assert split_sequence(bare)[0].previous is None


def test_what_is_forwarded_is_not_looked_at_again_and_what_comes_late_is_not_forgotten(exchange):
    one, two, three, four, five = chain(5)

    def waiting() -> list[int]:
        return [seq for seq, _sealed in exchange.unforwarded(EMT, CLS, 0, 9)]

    taken(exchange, one, two, four)
    exchange.forwarded(EMT, CLS, waiting(), 1)
    assert waiting() == []
    taken(exchange, three)
    assert waiting() == [3]
    exchange.forwarded(EMT, CLS, [3], 1)
    assert waiting() == []
    assert exchange.send_again(EMT, CLS, [(2, 2)]) == 1
    assert waiting() == [2]
    with pytest.raises(AttributeError):  # all or nothing is stored, and noted
        exchange.add_device_records(CLS, [*split_sequence(five), None], 1)
    assert waiting() == [2] and exchange.holding(CLS).acknowledged == 4
