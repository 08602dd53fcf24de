"""The relay: closed by a begin alone, open after an end and after every fault."""

import uuid as uuidlib

import pytest

from clsbench.hil import raw_repl
from clsbench.hil.board import VIRTUAL_TIME, level
from dicamm import codes

SAFE_S = 6.0  # from a fault to the open relay; the meter may be silent for two cycles


def opens(bench, seconds: float = SAFE_S) -> None:
    """The bench sees the relay open within `seconds`."""
    bench.until(lambda: not bench.relay_closed, seconds, "the open relay")


@pytest.mark.needs("relay_edges")
def test_a_begin_closes_the_relay_once_and_an_end_opens_it_once(bench, board):
    before = len(board.pin(board.wiring.relay))
    bench.transaction()
    assert [edge[1] for edge in board.pin(board.wiring.relay)[before:]] == [1, 0]


@pytest.mark.needs("relay_observer")
def test_the_device_reads_back_what_the_relay_does(bench):
    uuid = bench.begin()
    assert bench.link.status()["relay_closed"] is True and bench.relay_closed
    bench.end(uuid)
    assert bench.link.status()["relay_closed"] is False and not bench.relay_closed


def test_a_second_begin_is_refused_while_one_transaction_is_open(bench):
    uuid = bench.begin()
    code, _seq, _words = bench.link.command("begin", uuidlib.uuid4().bytes)
    assert code == codes.OTHER_OPEN and bench.relay_closed
    bench.end(uuid)


def test_a_meter_that_falls_silent_opens_the_relay_and_ends_as_failsafe(bench, meter):
    uuid = bench.begin()
    meter.misbehave("silence")
    opens(bench)
    meter.heal()
    bench.status_when(lambda status: status["open_uuid"] is None)
    assert [record.event for record in bench.records_of(uuid)] == ["begin", "failsafe"]


@pytest.mark.parametrize(
    "kind", ["crc", *(pytest.param(k, marks=pytest.mark.long) for k in ("exception", "unit"))]
)
def test_a_meter_that_answers_wrongly_opens_the_relay_too(bench, meter, kind):
    bench.begin()
    meter.misbehave(kind)
    opens(bench)


@pytest.mark.needs("inputs")
@pytest.mark.parametrize(("pin", "event"), [("tamper", "tamper"), ("power_fail", "power-fail")])
def test_an_alarm_input_opens_the_relay_and_ends_the_transaction(bench, board, pin, event):
    uuid = bench.begin()
    board.drive(getattr(board.wiring, pin), 1)
    opens(bench, 1.0)
    bench.status_when(lambda status: status["open_uuid"] is None)
    code, _seq, _words = bench.link.command("begin", uuidlib.uuid4().bytes)
    assert code == codes.INTERLOCKED and not bench.relay_closed
    board.drive(getattr(board.wiring, pin), 0)
    bench.status_when(lambda status: not status["locked"])
    assert [record.event for record in bench.records_of(uuid)] == ["begin", event]


@pytest.mark.needs("relay_observer", "power_cut")
def test_the_relay_falls_with_the_supply_and_stays_open_at_the_start(bench, board):
    bench.begin()
    edges = len(board.pin(board.wiring.relay))
    board.power_cut(0.2)
    bench.ready()
    assert level(board.pin(board.wiring.relay)) == 0
    assert 1 not in [edge[1] for edge in board.pin(board.wiring.relay)[edges:]]


@pytest.mark.needs("relay_edges")
def test_the_watchdog_ends_a_program_that_hangs_with_the_relay_closed(bench, board):
    bench.to_repl()
    edges = len(board.pin(board.wiring.relay))
    raw_repl.begin(
        board,
        "import machine\n"
        f"machine.Pin({board.wiring.relay}, machine.Pin.OUT, value=1)\n"
        "machine.WDT(timeout=2000)\n"
        "while True:\n    pass\n",
    )
    board.wait(lambda: level(board.pin(board.wiring.relay)), 5, "the closed relay")
    board.wait(lambda: not level(board.pin(board.wiring.relay)), 10, "the watchdog's reset")
    seen = board.pin(board.wiring.relay)[edges:]
    if VIRTUAL_TIME in board.caps:  # in wall time the machine may be late for either edge
        assert 1.5 < seen[1][0] - seen[0][0] < 4.0
    bench.ready()
    booted = [entry for entry in bench.link.logs() if entry[1] == codes.BOOTED]
    assert booted[-1][2][0] == 3  # machine.WDT_RESET on every port
