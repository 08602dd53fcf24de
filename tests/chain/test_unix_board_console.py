"""The unix board's console is a board's: to mpremote, to someone at the REPL, to binary frames."""

import hashlib
import json
import time

import pytest
from board_kit import PinLog, comes_true, open_port, read_until, resume, start_main

from clsbench.device.flash import mpremote
from clsbench.hil.unix_board import UnixBoard

pytestmark = pytest.mark.hil

# answers every byte with its successor: no value is special, and none comes back as itself
ECHO = """
import select, sys
poll = select.poll()
poll.register(sys.stdin.buffer, select.POLLIN)
while True:
    poll.poll()
    byte = sys.stdin.buffer.read(1)[0]
    sys.stdout.buffer.write(bytes([(byte + 1) & 0xFF]))
"""
IDLE = "import time\nprint('up')\nwhile True:\n    time.sleep_ms(10)\n"


@pytest.fixture
def pins():
    return PinLog()


@pytest.fixture
def board(tmp_path, pins):
    with UnixBoard(tmp_path / "board", on_pin=pins) as board:
        yield board


# mpremote


def test_mpremote_executes_copies_lists_and_hashes(board, tmp_path):
    source = tmp_path / "note.bin"
    source.write_bytes(bytes(range(256)) * 8)
    assert mpremote(board.path, "exec", "print(6 * 7)").strip() == "42"
    mpremote(board.path, "fs", "cp", str(source), ":note.bin")
    assert "2048 note.bin" in mpremote(board.path, "fs", "ls")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert digest in mpremote(board.path, "fs", "sha256sum", "note.bin")


def test_mpremote_installs_a_package_with_mip(board, tmp_path):
    (tmp_path / "greeting.py").write_text("def greet():\n    return 'guten Tag'\n")
    package = {"urls": [["greeting.py", "greeting.py"]], "version": "1"}
    (tmp_path / "package.json").write_text(json.dumps(package))
    mpremote(board.path, "mip", "install", "./package.json", cwd=str(tmp_path))
    assert mpremote(board.path, "exec", "import greeting; print(greeting.greet())").strip() == (
        "guten Tag"
    )


def test_mpremote_reset_is_a_hard_reset(board):
    boots = board.boots
    mpremote(board.path, "resume", "reset")
    board.wait_for_boot(boots + 1)
    assert board.causes[-1] == "HARD"
    assert resume(board, "import machine; print(machine.reset_cause() == machine.HARD_RESET)") == (
        "True"
    )


def test_soft_reset_from_the_raw_repl_leaves_main_out(board):
    start_main(board, "print('main ran')\n")
    assert mpremote(board.path, "soft-reset", "exec", "print('here')").strip() == "here"
    assert board.causes[-1] == "SOFT"


# main.py, Ctrl-C, Ctrl-D


def test_main_starts_by_itself_and_ctrl_c_leads_to_the_prompt(board):
    start_main(board, IDLE)
    with open_port(board) as port:
        board.power_cut()
        assert b"up" in read_until(port, b"up\n")
        port.write(b"\x03")
        text = read_until(port, b">>> ")
        assert b"KeyboardInterrupt" in text
        port.write(b"1 + 2\r")
        read_until(port, b"\r\n3\n>>> ")


def test_ctrl_c_twice_at_once_does_no_harm(board):
    start_main(board, IDLE)
    boots = board.boots
    with open_port(board) as port:
        port.write(b"\r\x03\x03\x03")
        read_until(port, b">>> ")
        port.write(b"40 + 2\r")
        read_until(port, b"\r\n42\n>>> ")
    assert board.boots == boots


def test_ctrl_c_stops_a_program_that_computes(board):
    start_main(board, "print('up')\nwhile True:\n    pass\n")
    with open_port(board) as port:
        port.write(b"\x03")
        read_until(port, b">>> ")


def test_ctrl_c_stops_code_that_mpremote_has_sent(board):
    resume(board, "import machine")
    with open_port(board) as port:
        port.write(b"\x01")
        read_until(port, b"raw REPL; CTRL-B to exit\r\n>")
        port.write(b"\x05A\x01")
        read_until(port, b"R\x01")
        port.read(3)  # the window
        port.write(b"print('runs')\nwhile True: pass\x04")
        read_until(port, b"\x04")  # taken, but not compiled: a Ctrl-C now would go to nobody
        read_until(port, b"runs\n")
        port.write(b"\x03")
        assert b"KeyboardInterrupt" in read_until(port, b"\x04>")
        port.write(b"\x02")


def test_ctrl_d_at_the_prompt_is_a_soft_reboot_with_main(board):
    start_main(board, "print('main ran')\n")
    with open_port(board) as port:
        port.write(b"\x03\r")
        read_until(port, b">>> ")
        boots = board.boots
        port.write(b"\x04")
        read_until(port, b"MPY: soft reboot\r\n")
        read_until(port, b"main ran\n")
    assert board.boots == boots + 1
    assert board.causes[-1] == "SOFT"


# the console as a line for bytes


def test_every_byte_but_ctrl_c_passes_in_both_directions(board):
    start_main(board, ECHO)
    sent = bytes(value for value in range(256) if value != 3) * 40
    with open_port(board) as port:
        port.write(b"\xfe")
        read_until(port, b"\xff")
        for start in range(0, len(sent), 512):
            chunk = sent[start : start + 512]
            port.write(chunk)
            assert port.read(len(chunk)) == bytes((value + 1) & 0xFF for value in chunk)


def test_a_slow_reader_that_stays_attached_loses_nothing(board):
    lines = 20_000
    start_main(
        board,
        "import sys\nsys.stdin.read(1)\nprint('begin')\n"
        f"for n in range({lines}):\n    print('%06d' % n)\nprint('end')\n",
    )
    with open_port(board) as port:
        port.write(b"!")
        time.sleep(0.5)
        text = read_until(port, b"\nend\n").split(b"begin\n")[1]
    assert [int(line) for line in text.split()[:-1]] == list(range(lines))
    assert board.discarded == 0


def test_without_a_reader_the_board_runs_on_and_the_newest_output_is_kept(board, pins):
    start_main(
        board,
        "import machine\nfor n in range(20000):\n    print('%06d' % n)\n"
        "machine.Pin(2, machine.Pin.OUT, value=1)\n",
    )
    pins.wait_for(1)
    assert comes_true(lambda: board.discarded > 50_000)
    with open_port(board) as port:
        port.write(b"\r")
        read_until(port, b">>> ")
    assert resume(board, "print('still', 'there')") == "still there"


def test_port_may_be_opened_and_closed_again_and_again(board):
    start_main(board, ECHO)
    for value in range(20):
        with open_port(board) as port:
            port.write(bytes([value + 10]))
            read_until(port, bytes([value + 11]))
