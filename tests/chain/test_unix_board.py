"""The unix board to the bench: pins, buses, power, watchdog, and nothing left behind."""

import gc
import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from board_kit import PATIENCE_S, PinLog, open_port, read_until, resume, start_main

from clsbench.device.flash import mpremote
from clsbench.errors import EnvironmentProblem, PeerRefused
from clsbench.hil.ptys import Pty
from clsbench.hil.unix_board import UnixBoard

pytestmark = pytest.mark.hil


@pytest.fixture
def pins():
    return PinLog()


@pytest.fixture
def board(tmp_path, pins):
    with UnixBoard(tmp_path / "board", on_pin=pins) as board:
        yield board


# pins, buses


def test_pin_reports_carry_level_and_time(board, pins):
    begin_ns = time.monotonic_ns()
    resume(
        board,
        "import machine, time\n"
        "relay = machine.Pin(2, machine.Pin.OUT, value=0)\n"
        "relay.on(); time.sleep_ms(2000); relay.value(1); relay.off()",
    )
    pins.wait_for(3)
    assert pins.seen == [(2, 0), (2, 1), (2, 0)]  # the second 1 was no change
    assert begin_ns < pins.times_ns[0] < pins.times_ns[-1] < time.monotonic_ns()
    # stamped where they are heard, by a thread that may be held up for long
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
    data = await asyncio.wait_for_ms(reader.readexactly(256), 20000)
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
    board.power_cut(off_s=600)
    assert not board.alive and board.boots == 1  # it has returned, and the supply is off
    board.start()
    begin = time.monotonic()
    board.power_cut(off_s=0.4)
    board.wait_for_boot(3)
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
        "    dog = machine.WDT(timeout=2500)\n"
        "    machine.Pin(2, machine.Pin.OUT, value=1)\n"
        "    for n in range(6):\n"
        "        time.sleep_ms(500)\n"
        "        dog.feed()\n"
        "    machine.Pin(3, machine.Pin.OUT, value=1)\n"
        "    while True: pass\n",
    )
    pins.wait_for(4)
    assert pins.seen[:2] == [(2, 1), (3, 1)]  # fed, it lived longer than its 2.5 s
    assert sorted(pins.seen[2:]) == [(2, 0), (3, 0)]
    board.wait_for_boot()
    assert board.causes[-1] == "WDT"


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
        assert ended.wait(PATIENCE_S)
    assert isinstance(raised[0], ValueError)
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(EnvironmentProblem, match="closed"):
        board.power_cut()
    board.close()


def test_close_leaves_no_process_thread_or_descriptor(tmp_path):
    def open_descriptors():
        return len(os.listdir("/proc/self/fd"))

    gc.collect()  # what other tests have left closes its files now, not in between
    before = open_descriptors()
    threads = set(threading.enumerate())
    board = UnixBoard(tmp_path)
    board.start()
    pid = board.pid
    board.close()
    board.close()
    assert not Path(f"/proc/{pid}").exists()
    assert open_descriptors() == before
    fresh = set(threading.enumerate()) - threads
    assert not [thread for thread in fresh if thread.name == "unix-board"]
    with pytest.raises(EnvironmentProblem, match="closed"):
        board.start()


def test_interpreter_that_does_not_come_up_is_reported_with_its_words(tmp_path):
    with (
        closing(UnixBoard(tmp_path, heap="6k")) as board,
        pytest.raises(EnvironmentProblem, match="last words:(.|\n)*MemoryError"),
    ):
        board.start()
    assert not board.alive
