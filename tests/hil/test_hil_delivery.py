"""Records reach whoever was away: over the bench link on any board, over the HAN where there is
one."""

import uuid as uuidlib

import pytest

from clsbench.device.records import check_chain, open_record
from clsbench.hil.board import VIRTUAL_TIME

ABSENT = 12  # transactions while nobody listened


@pytest.mark.long
def test_records_made_while_nobody_listened_are_all_there(bench, board):
    first = bench.newest() + 1
    bench.link.detach()
    uuids = [bench.transaction() for _ in range(ABSENT)]
    board.sleep(2)
    bench.link.hello()
    records = [open_record(sealed, bench.key) for _, sealed in bench.link.records(first)]
    switched = [record for record in records if record.taf == 16]
    assert [record.uuid for record in switched] == [
        str(uuidlib.UUID(bytes=uuid)) for uuid in uuids for _ in range(2)
    ]
    assert check_chain(records) == []


def test_what_the_host_acknowledges_may_give_way_and_nothing_else(bench):
    bench.transaction()
    newest = bench.newest()
    bench.link.acknowledge(newest - 1)
    assert bench.link.status()["journal"]["unacknowledged"] == 1
    bench.link.acknowledge(newest)
    assert bench.link.status()["journal"]["unacknowledged"] == 0


@pytest.mark.long
@pytest.mark.needs("net", "records")
def test_the_device_takes_time_from_its_gateway(bench, board, gateway):
    board.reset()
    bench.greet()
    got = bench.status_when(lambda status: status["time"]["state"] == 1)["time"]
    assert abs(got["utc_ms"] - bench.utc_ms()) <= got["bound_ms"] + 50


@pytest.mark.needs("net", "records")
def test_a_switching_does_not_wait_for_a_running_long_poll(bench, board, gateway):
    bench.status_when(lambda status: status["time"]["state"] == 1)
    board.sleep(0.5)  # the poll for commands is open now, for 15 s
    begin_s = board.now()
    uuid = bench.begin()
    bench.end(uuid)
    # in wall time the machine may hold it up, but not until the poll has ended
    assert board.now() - begin_s < (1.0 if VIRTUAL_TIME in board.caps else 10.0)
    bench.until(lambda: len(gateway.own_records(uuid)) == 2, 20, "both announcements")


@pytest.mark.long
@pytest.mark.needs("net", "records")
def test_a_command_of_the_gateway_switches_at_once(bench, board, gateway):
    uuid = uuidlib.uuid4().bytes
    assert gateway.command("begin", uuid).code == 0 and bench.relay_closed
    begin_s = board.now()
    assert gateway.command("end", uuid).code == 0 and not bench.relay_closed
    assert board.now() - begin_s < (2.0 if VIRTUAL_TIME in board.caps else 10.0)


@pytest.mark.long
@pytest.mark.needs("net", "records")
def test_a_gateway_that_was_away_for_long_gets_every_record_and_event(bench, board, gateway):
    gateway.stop()
    uuids = [bench.transaction() for _ in range(ABSENT)]
    board.sleep(4)  # the device's pauses between two tries have grown by now
    gateway.start()
    newest = bench.newest()
    bench.until(lambda: newest in gateway.device_records(), 20, "the last record")
    held = gateway.device_records()
    records = bench.records()
    assert {record.seq: record.sealed for record in records}.items() <= held.items()
    assert check_chain(records) == []
    for uuid in uuids:
        bench.until(lambda uuid=uuid: len(gateway.own_records(uuid)) == 2, 20, "announcements")
        assert [own["event"] for own in gateway.own_records(uuid)] == ["begin", "end"]
    bench.status_when(lambda status: status["journal"]["unacknowledged"] == 0)
