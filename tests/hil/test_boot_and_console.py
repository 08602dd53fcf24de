"""The board comes up by itself, says who it is, and gives its console to the REPL and back."""

import pytest

from clsbench.hil.board import level
from clsbench.pki.layout import DEFAULT_CLS
from dicamm import VERSION


def test_the_board_boots_with_its_banner_on_the_console(bench, board):
    board.console.read()
    board.reset()
    said = bytearray()

    def banner() -> bool:
        said.extend(board.console.read())
        return b"DICAMM %s on %s" % (VERSION.encode(), board.firmware.encode()) in said

    board.wait(banner, 20, "the banner")


def test_the_device_says_who_it_is(bench, board):
    hello = bench.link.hello()
    assert hello["device_id"] == hello["cls_id"] == DEFAULT_CLS
    assert (hello["board"], hello["version"], hello["protocol"]) == (board.firmware, VERSION, 1)


def test_a_reset_loses_no_record_and_is_up_again_by_itself(bench, board):
    bench.transaction()
    before = bench.records()
    board.reset()
    bench.ready()
    after = bench.records()
    assert after[: len(before)] == before


def test_the_console_is_handed_to_the_repl_and_back(bench, board):
    assert b"Traceback" not in bench.to_repl()
    assert board.repl("print(6 * 7)").strip() == "42"
    board.reset()
    bench.ready()
    assert bench.link.hello()["board"] == board.firmware


@pytest.mark.needs("relay_observer")
def test_a_hand_over_opens_the_relay(bench, board):
    uuid = bench.begin()
    assert bench.relay_closed
    bench.to_repl()
    board.wait(lambda: level(board.pin(board.wiring.relay)) == 0, 2, "the open relay")
    board.reset()
    bench.ready()
    ended = bench.status_when(lambda status: status["open_uuid"] is None)
    assert ended["locked"] == []
    assert [record.event for record in bench.records_of(uuid)] == ["begin", "power-fail"]


def test_the_interpreter_has_heap_to_spare_beside_the_firmware(bench):
    heap = bench.link.status()["heap"]
    assert heap["free"] > 48 * 1024
