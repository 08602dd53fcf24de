"""What tests of a board need on their side of it: a pin observer, a port, a REPL."""

import threading
import time

import serial

from clsbench.device.flash import flash, mpremote
from clsbench.hil.unix_board import HARD

PATIENCE_S = 20  # for what comes at once where nothing holds the machine up


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
            assert self._changed.wait_for(lambda: len(self.seen) >= count, PATIENCE_S), self.seen


def start_main(board, source):
    """Makes `source` the board's main.py and starts it."""
    resets = board.causes.count(HARD)
    flash(board.path, [("main.py", source.encode())])
    deadline = time.monotonic() + PATIENCE_S
    while board.causes.count(HARD) == resets:  # its last act is a reset, which it leaves to itself
        assert time.monotonic() < deadline, board.causes
        time.sleep(0.01)
    board.wait_for_boot()


def comes_true(claim):
    """Waits for what the board's thread does; whether it has done so in time."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := claim()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def open_port(board):
    return serial.Serial(board.path, timeout=PATIENCE_S)


def read_until(port, ending):
    data = port.read_until(ending)
    assert data.endswith(ending), f"no {ending!r}, but {data[-300:]!r}"
    return data


def resume(board, code):
    """Runs code in the REPL as it is, without a soft reset."""
    return mpremote(board.path, "resume", "exec", code).strip()
