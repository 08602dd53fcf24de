"""What `--board` means: which backend, what it can do, and what is said when it cannot be had."""

import os

import pytest

from clsbench.errors import BadInput, EnvironmentProblem, PeerSilent
from clsbench.hil import boards, labgrid
from clsbench.hil.board import (
    CAPABILITIES,
    FILES,
    NET,
    PORT,
    POWER_CUT,
    RELAY_OBSERVER,
    UART,
    level,
)
from clsbench.hil.boards import BoardOptions
from clsbench.hil.bus_end import BusEnd, PtyLine
from clsbench.hil.meter import BenchMeter
from clsbench.hil.port_console import resolve
from clsbench.hil.serial_board import SerialBoard, SerialOptions
from clsbench.hil.wall import WallTime
from clsbench.meters.rtu_responder import crc16

READ_IMPORT = bytes.fromhex("01040048 0002 f1dd")


def test_a_port_can_do_what_is_wired():
    wired = SerialOptions(power="switch", bus="/dev/ttyUSB0", relay_line="cts")
    everything = BoardOptions(serial=wired)
    assert boards.caps("/dev/ttyACM0", BoardOptions()) == {FILES, PORT}
    assert boards.caps("/dev/ttyACM0", everything) == {
        *(FILES, PORT, POWER_CUT, UART, RELAY_OBSERVER)
    }
    assert boards.caps(boards.UNIX, BoardOptions()) >= {NET, POWER_CUT}
    assert boards.caps(boards.UNIX, BoardOptions()) <= CAPABILITIES.keys()


def test_the_emulated_pico_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.delenv(boards.UF2_VARIABLE, raising=False)
    assert "--uf2 FILE" in boards.missing(boards.RP2040, BoardOptions())
    monkeypatch.setenv(boards.UF2_VARIABLE, str(tmp_path / "none.uf2"))
    assert "does not exist" in boards.missing(boards.RP2040, BoardOptions())
    (tmp_path / "none.uf2").touch()
    assert boards.missing(boards.RP2040, BoardOptions()) == ""
    assert boards.missing("/dev/ttyACM0", BoardOptions()) == ""


def test_a_usb_number_that_is_not_plugged_in_is_told():
    assert resolve("/dev/ttyACM0") == "/dev/ttyACM0"
    with pytest.raises(EnvironmentProblem, match="no port with USB serial number E661"):
        resolve("serial:E661")


def test_a_power_switch_that_fails_is_told_with_its_words(tmp_path):
    script = tmp_path / "switch"
    script.write_text("#!/bin/sh\necho no such socket: $1 >&2\nexit 3\n")
    script.chmod(0o755)
    board = SerialBoard("/dev/none", SerialOptions(power=str(script)))
    with pytest.raises(EnvironmentProblem, match="no such socket: off"):
        board.power_cut()


def test_a_modem_line_that_no_port_has_is_refused():
    with pytest.raises(BadInput, match="cts, dsr, cd, ri"):
        SerialBoard("/dev/none", SerialOptions(relay_line="dtr"))


def test_a_target_of_labgrid_needs_its_environment():
    with pytest.raises(BadInput, match="--lg-env FILE or LG_ENV"):
        labgrid.board_of("labgrid:main", "", SerialOptions())


def test_a_wait_that_has_no_end_names_board_and_matter():
    board = WallTime()
    board.name = "bench 3"
    with pytest.raises(PeerSilent, match=r"board bench 3: the banner did not come in 0\.01 s"):
        board.wait(lambda: None, 0.01, "the banner")
    assert board.wait(lambda: 7, 0.0, "a number") == 7
    assert level(()) == 0 and level([(0.1, 1), (0.2, 0), (0.3, 1)]) == 1


def test_the_bench_answers_a_frame_on_the_bus_as_its_meter_does():
    meter = BenchMeter(wh=1_234_560)
    line = PtyLine()
    end = BusEnd(line)
    try:
        end.connect(meter)
        board = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
        os.write(board, READ_IMPORT)
        reply = b""
        while len(reply) < 9:
            reply += os.read(board, 16)
        os.close(board)
    finally:
        end.close()
    assert reply[:3] == bytes((1, 4, 4)) and crc16(reply) == 0
    assert meter.requests == 1


def test_a_meter_that_misbehaves_does_so_as_often_as_told():
    meter = BenchMeter()
    meter.misbehave("silence", count=1)
    assert list(meter(READ_IMPORT)) == []
    ((delay_s, reply),) = meter(READ_IMPORT)
    assert delay_s > 0.004 and crc16(reply) == 0
    meter.misbehave("crc")
    assert crc16(meter(READ_IMPORT)[0][1]) != 0
    meter.heal()
    assert meter(READ_IMPORT)[0][1] == reply
