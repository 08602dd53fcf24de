"""The emulated Pico's console as a serial port: a pty for stock mpremote and `clsbench flash`.

A thread owns the board meanwhile and lets its time pass as the wall's does; what a busy machine
delays is made up for, so its clock goes right. Anything else that is done to the board
goes through `do`.
"""

import os
import select
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from clsbench.hil.ptys import Pty, read_some, write_some
from clsbench.hil.rp2040.pace import Pace, Runner
from clsbench.hil.rp2040.ports import Stream

T = TypeVar("T")

STEP_S = 0.004  # board time between two looks at the port
AHEAD_S = 0.01  # of the wall, at most
BEHIND_S = 20.0  # so far behind the wall's clock (an emulator without its C core) is left behind
_BACKLOG = 256 * 1024  # bytes that nobody reads


class Board(Runner, Protocol):
    """What is behind the port."""

    @property
    def console(self) -> Stream: ...


class PtyPort:
    """path: the port, from the begin to `close`. The board must have been started."""

    def __init__(self, board: Board):
        self._board = board
        self._pty = Pty()
        self.path = self._pty.path
        self._wake, self._waker = os.pipe()
        self._orders: list[tuple[Callable[[], Any], Future[Any]]] = []
        self._closing = False
        self._said = bytearray()
        self._thread = threading.Thread(target=self._run, name="rp2040-pty", daemon=True)
        self._thread.start()

    def __enter__(self) -> "PtyPort":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def do(self, order: Callable[[], T], timeout_s: float = 60.0) -> T:
        """Runs `order` in the thread that owns the board, such as a power cut."""
        future: Future[T] = Future()
        self._orders.append((order, future))
        os.write(self._waker, b"!")
        return future.result(timeout_s)

    def close(self) -> None:
        """Gives the port back; the board stays as it is."""
        if self._closing:
            return
        self._closing = True
        os.write(self._waker, b"!")
        self._thread.join()
        self._pty.close()
        os.close(self._wake)
        os.close(self._waker)

    def _run(self) -> None:
        pace = Pace(self._board, BEHIND_S)
        while not self._closing:
            ahead = pace.ahead_s()
            self._look(ahead if ahead > AHEAD_S else 0.0)
            if ahead <= AHEAD_S:
                self._board.sleep(STEP_S)
                self._say(self._board.console.read())

    def _look(self, wait_s: float) -> None:
        ready, _, _ = select.select([self._wake, self._pty.master], [], [], wait_s)
        if self._pty.master in ready:
            self._board.console.write(read_some(self._pty.master) or b"")
        if self._wake in ready:
            os.read(self._wake, 64)
            while self._orders:
                order, future = self._orders.pop(0)
                try:
                    future.set_result(order())
                except Exception as error:  # noqa: BLE001 (it is the caller's)
                    future.set_exception(error)

    def _say(self, data: bytes) -> None:
        self._said += data
        if self._said:
            del self._said[: write_some(self._pty.master, self._said)]
        del self._said[: max(0, len(self._said) - _BACKLOG)]
