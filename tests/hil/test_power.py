"""Power cuts: what was answered is kept, what was open is ended with the reading found, no number
comes twice."""

import random
import uuid as uuidlib

import pytest

from clsbench.device.link_inbox import COMMAND, frame
from clsbench.device.records import check_chain
from clsbench.hil.board import VIRTUAL_TIME
from dicamm import codes

pytestmark = pytest.mark.needs("power_cut")


def test_a_cut_in_a_transaction_ends_it_with_the_reading_found(bench, board, meter):
    meter.wh = 3_000_000
    uuid = bench.begin()
    meter.wh = 3_000_500  # drawn until the cut
    board.power_cut(0.2)
    bench.ready()
    bench.status_when(lambda status: status["open_uuid"] is None)
    begin, end = bench.records_of(uuid)
    assert (end.event, end.cause) == ("power-fail", codes.POWER_FAIL_FOUND)
    drawn = end.values[0].raw * 10 ** end.values[0].scaler - 3_000_000
    assert drawn == 500 and begin.values[0].raw * 10 ** begin.values[0].scaler == 3_000_000
    # the repeats that come after the restart get the answers of before it
    assert bench.link.command("begin", uuid)[:2] == (0, begin.seq)
    assert bench.link.command("end", uuid)[:2] == (0, end.seq)


def test_a_cut_right_after_an_answer_loses_nothing(bench, board):
    uuid = bench.transaction()
    board.power_cut()
    bench.ready()
    assert [record.event for record in bench.records_of(uuid)] == ["begin", "end"]


@pytest.mark.long
def test_the_journal_stands_cuts_at_any_instant_of_a_switching(bench, board):
    chance = random.Random(20)
    cuts = 3 if VIRTUAL_TIME in board.caps else 8
    kept = {record.seq: record.sealed for record in bench.records()}
    for _ in range(cuts):
        uuid = uuidlib.uuid4().bytes
        message = {0: COMMAND, 1: 1, 2: "begin", 3: uuid, 4: "cut", 5: None}
        bench.link.send(frame(message))
        board.sleep(chance.random() * 0.06)
        board.power_cut(0.05)
        bench.ready()
        bench.status_when(lambda status: status["open_uuid"] is None)
        records = bench.records()
        assert check_chain(records) == []
        found = {record.seq: record.sealed for record in records}
        assert kept.items() <= found.items()  # nothing lost, nothing under another number
        kept = found
        events = [
            record.event for record in records if record.uuid == str(uuidlib.UUID(bytes=uuid))
        ]
        assert events in ([], ["begin", "power-fail"])
    bench.transaction()
