"""The unix board behaves as a board does: to mpremote, to a link client, to the power switch."""

import hashlib
import json
import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import serial

from clsbench.device.flash import flash, mpremote
from clsbench.errors import BadInput, EnvironmentProblem, PeerRefused
from clsbench.hil.ptys import Pty
from clsbench.hil.unix_board import UnixBoard

pytestmark = [pytest.mark.hil, pytest.mark.timeout(60)]

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


class PinLog:
    """Collects what the board reports, and lets a test wait for it."""

    def __init__(self):
        self.seen = []
        self.times_ns = []
        self._changed = threading.Condition()

    def __call__(self, pin, level, mono_ns):
        with self._changed:
            self.seen.append((pin, level))
            self.times_ns.append(mono_ns)
            self._changed.notify_all()

    def wait_for(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.seen) >= count, 5), self.seen


@pytest.fixture
def pins():
    return PinLog()


@pytest.fixture
def board(tmp_path, pins):
    with UnixBoard(tmp_path / "board", on_pin=pins) as board:
        yield board


def start_main(board, source):
    """Makes `source` the board's main.py and starts it."""
    flash(board.path, [("main.py", source.encode())])


def open_port(board):
    return serial.Serial(board.path, timeout=5)


def read_until(port, ending):
    data = port.read_until(ending)
    assert data.endswith(ending), f"no {ending!r}, but {data[-300:]!r}"
    return data


def resume(board, code):
    """Runs code in the REPL as it is, without a soft reset."""
    return mpremote(board.path, "resume", "exec", code).strip()


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
        port.write(b"while True: pass\x04")
        read_until(port, b"\x04")
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
    time.sleep(0.05)
    assert board.discarded > 50_000
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


# pins, buses


def test_pin_reports_carry_level_and_time(board, pins):
    begin_ns = time.monotonic_ns()
    resume(
        board,
        "import machine, time\n"
        "relay = machine.Pin(2, machine.Pin.OUT, value=0)\n"
        "relay.on(); time.sleep_ms(50); relay.value(1); relay.off()",
    )
    pins.wait_for(3)
    assert pins.seen == [(2, 0), (2, 1), (2, 0)]  # the second 1 was no change
    assert begin_ns < pins.times_ns[0] < pins.times_ns[-1] < time.monotonic_ns()
    assert pins.times_ns[2] - pins.times_ns[1] >= 49_000_000
    assert board.pin(2) == 0


def test_input_reads_what_the_bench_applies(board):
    read = "import machine; print(machine.Pin(5, machine.Pin.IN, machine.Pin.PULL_UP).value())"
    assert resume(board, read) == "1"
    board.set_pin(5, 0)
    assert resume(board, read) == "0"
    board.power_cut()
    board.wait_for_boot()
    assert resume(board, read) == "0"


def test_outputs_stay_through_a_soft_reset_and_fall_with_the_supply(board, pins):
    resume(board, "import machine; machine.Pin(2, machine.Pin.OUT, value=1)")
    mpremote(board.path, "soft-reset")
    assert board.pin(2) == 1
    board.power_cut()
    assert pins.seen == [(2, 1), (2, 0)]


def test_uart_is_a_bus_that_asyncio_reads(tmp_path):
    program = """
import asyncio, machine
async def main():
    uart = machine.UART(1, 9600, bits=8, parity=None, stop=1, tx=4, rx=5)
    assert uart.any() == 0 and uart.read() is None
    uart.write(bytes(range(256)))
    reader = asyncio.StreamReader(uart)
    data = await asyncio.wait_for_ms(reader.readexactly(256), 3000)
    buffer = bytearray(300)
    while not uart.any():
        await asyncio.sleep_ms(1)
    count = uart.readinto(buffer)
    print(data == bytes(range(256)), bytes(buffer[:count]))
asyncio.run(main())
"""
    with closing(Pty()) as bus, UnixBoard(tmp_path, uarts={1: bus.path}) as board:
        os.set_blocking(bus.master, True)

        def meter():
            request = b""
            while len(request) < 256:
                request += os.read(bus.master, 256)
            os.write(bus.master, request)
            time.sleep(0.2)
            os.write(bus.master, b"\r\n\x11\x13")

        thread = threading.Thread(target=meter)
        thread.start()
        answer = resume(board, program)
        thread.join()
    assert answer == "True b'\\r\\n\\x11\\x13'"


def test_uart_that_is_not_wired_says_so(board):
    with pytest.raises(PeerRefused, match="UART\\(3\\) is not wired"):
        resume(board, "import machine; machine.UART(3)")


# power, watchdog, flash


def test_files_and_record_flash_survive_a_power_cut(board):
    resume(
        board,
        "import os, norflash\n"
        "nor = norflash.NorFile(os.getenv('HIL_NOR'), 4)\n"
        "nor.writeblocks(0, b'sealed', 256)\n"
        "with open('kept.txt', 'w') as f: f.write('kept')",
    )
    board.power_cut()
    assert not board.alive
    board.wait_for_boot(2)
    assert board.causes == ["PWRON", "PWRON"]
    answer = resume(
        board,
        "import os, norflash\n"
        "data = bytearray(6)\n"
        "norflash.NorFile(os.getenv('HIL_NOR'), 4).readblocks(0, data, 256)\n"
        "print(data, open('kept.txt').read())",
    )
    assert answer == "bytearray(b'sealed') kept"


def test_power_cuts_at_any_time_leave_a_file_system_that_mounts(board):
    start_main(
        board,
        "import os\nn = 0\nwhile True:\n    n += 1\n"
        "    with open('new', 'w') as f: f.write('%08d' % n * 50)\n"
        "    os.rename('new', 'state')\n",
    )
    for cut in range(12):
        time.sleep(0.05 + cut * 0.003)
        board.power_cut()
        board.wait_for_boot()
    time.sleep(0.1)
    text = mpremote(board.path, "exec", "print(open('state').read())").strip()
    assert len(text) == 400 and text == text[:8] * 50


def test_supply_stays_off_for_the_time_asked(board):
    begin = time.monotonic()
    board.power_cut(off_s=0.4)
    assert time.monotonic() - begin < 0.2
    board.wait_for_boot(2)
    assert time.monotonic() - begin >= 0.4


def test_stop_leaves_the_board_off_until_start(board):
    board.stop()
    time.sleep(0.1)
    assert not board.alive and board.boots == 1
    board.start()
    assert board.alive and board.causes[-1] == "PWRON"


def test_what_is_sent_to_a_board_without_supply_is_lost(board):
    with open_port(board) as port:
        board.stop()
        port.write(b"print('from ', 'before')\r")
        time.sleep(0.05)
        board.start()
        port.write(b"print('from', 'now')\r")
        assert b"from  before" not in read_until(port, b"from now\n")


def test_starving_watchdog_resets_with_its_cause(board, pins):
    start_main(
        board,
        "import machine, time\n"
        "if machine.reset_cause() != machine.WDT_RESET:\n"
        "    dog = machine.WDT(timeout=300)\n"
        "    machine.Pin(2, machine.Pin.OUT, value=1)\n"
        "    for n in range(5):\n"
        "        time.sleep_ms(150)\n"
        "        dog.feed()\n"
        "    while True: pass\n",
    )
    pins.wait_for(2)
    assert pins.seen == [(2, 1), (2, 0)]
    board.wait_for_boot()
    assert board.causes[-1] == "WDT"
    lived_s = (pins.times_ns[1] - pins.times_ns[0]) / 1e9
    assert 1.0 <= lived_s < 2.0  # fed for 750 ms, then 300 ms more


def test_observer_may_cut_the_power_at_the_very_edge(tmp_path):
    cuts = []

    def observe(pin, level, mono_ns):
        if level:
            cuts.append(pin)
            board.power_cut()

    with UnixBoard(tmp_path, on_pin=observe) as board:
        with open_port(board) as port:
            port.write(b"import machine; machine.Pin(2, machine.Pin.OUT, value=1)\r")
            board.wait_for_boot(2)
        assert cuts == [2]
        assert board.causes == ["PWRON", "PWRON"]


def test_observer_that_raises_ends_the_board_and_blocks_nobody(tmp_path, monkeypatch):
    raised = []
    ended = threading.Event()

    def note(args):
        raised.append(args.exc_value)
        ended.set()

    def observe(pin, level, mono_ns):
        raise ValueError("the observer's own fault")

    monkeypatch.setattr(threading, "excepthook", note)
    board = UnixBoard(tmp_path, on_pin=observe)
    board.start()
    pid = board.pid
    with open_port(board) as port:
        port.write(b"import machine; machine.Pin(2, machine.Pin.OUT, value=1)\r")
        assert ended.wait(5)
    assert isinstance(raised[0], ValueError)
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(EnvironmentProblem, match="closed"):
        board.power_cut()
    board.close()


def test_close_leaves_no_process_thread_or_descriptor(tmp_path):
    def open_descriptors():
        return len(os.listdir("/proc/self/fd"))

    before = open_descriptors()
    board = UnixBoard(tmp_path)
    board.start()
    pid = board.pid
    board.close()
    board.close()
    assert not Path(f"/proc/{pid}").exists()
    assert open_descriptors() == before
    assert not [thread for thread in threading.enumerate() if thread.name == "unix-board"]
    with pytest.raises(EnvironmentProblem, match="closed"):
        board.start()


def test_interpreter_that_does_not_come_up_is_reported_with_its_words(tmp_path):
    with (
        closing(UnixBoard(tmp_path, heap="6k")) as board,
        pytest.raises(EnvironmentProblem, match="last words:(.|\n)*MemoryError"),
    ):
        board.start()
    assert not board.alive


# flashing


def test_flashing_forty_files_takes_seconds_and_only_changes_travel(board):
    files = [(f"lib/dicamm/part{n % 5}/m{n}.mpy", os.urandom(2000)) for n in range(40)]
    report = flash(board.path, files)
    assert (report.written, report.unchanged, report.removed) == (40, 0, 0)
    assert report.seconds < 6
    files[7] = (files[7][0], b"changed")
    report = flash(board.path, files[:-1])
    assert (report.written, report.unchanged, report.removed) == (1, 38, 1)
    listing = mpremote(board.path, "fs", "ls", "lib/dicamm/part4")
    assert "m39.mpy" not in listing and "m34.mpy" in listing


def test_flash_to_a_port_that_is_none_names_it():
    with pytest.raises(EnvironmentProblem, match="/dev/tty-none cannot be opened"):
        flash("/dev/tty-none", [("main.py", b"")])


def test_flash_refuses_a_path_outside_the_board(board):
    with pytest.raises(BadInput, match=r"'\.\./main\.py'"):
        flash(board.path, [("../main.py", b"")])


def test_flash_of_more_than_fits_says_so(tmp_path):
    with (
        UnixBoard(tmp_path, env={"HIL_FLASH_BLOCKS": "32"}) as board,
        pytest.raises(PeerRefused, match=r"big\.bin: No space left"),
    ):
        flash(board.path, [("big.bin", os.urandom(150_000))])
