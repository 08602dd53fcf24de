"""Names under which other programs open the emulated board: its console, its UARTs.

While somebody has one open, a thread lets the board run, no faster than the wall's clock: an
outsider's patience is in seconds of that. Otherwise time stands still unless the bench waits.
"""

import threading
import time
from typing import Any, Protocol

from clsbench.hil.ptys import Pty, read_some, write_some
from clsbench.hil.rp2040.pace import Pace, Runner
from clsbench.hil.rp2040.wire import Wire

_SLICE_S = 0.005  # of board time between two looks at the ptys
_LOOK_S = 0.02  # of the wall's, while nobody has one open
# so far behind the wall's clock is left behind: a board that catches up is in a hurry, and whoever
# answers on its UARTs seems slow to it
_BEHIND_S = 0.5


class Stream(Protocol):
    """The console."""

    def write(self, data: bytes) -> None: ...
    def read(self) -> bytes: ...


class Ports:
    """lock: held while the board runs, by the thread and by whoever else lets it run."""

    def __init__(self, board: Runner, console: Stream, lock: Any):
        self._board = board
        self._console = console
        self._lock = lock
        self._pty = Pty(hold=False)
        self._unsent = bytearray()
        self._lines: dict[int, tuple[Pty, Wire]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rp2040 ports", daemon=True)
        self._thread.start()

    @property
    def console(self) -> str:
        """The console's path."""
        return self._pty.path

    def uart(self, wire: Wire) -> str:
        """A path for whoever is to be on the other end of a UART."""
        if wire.number not in self._lines:
            pty = Pty(hold=False)
            wire.listen(lambda byte: write_some(pty.master, bytes((byte,))))
            self._lines[wire.number] = (pty, wire)
        return self._lines[wire.number][0].path

    def close(self) -> None:
        """Takes the names away."""
        self._closing.set()
        self._thread.join()
        for pty, wire in self._lines.values():
            wire.listen(None)
            pty.close()
        self._pty.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            if self._attached():
                self._serve()
            else:
                self._closing.wait(_LOOK_S)

    def _attached(self) -> bool:
        return self._pty.is_attached() or any(
            pty.is_attached() for pty, _ in list(self._lines.values())
        )

    def _serve(self) -> None:
        """Runs the board, at most as fast as the wall's clock, until everybody has left."""
        pace = Pace(self._board, _BEHIND_S)
        while self._attached() and not self._closing.is_set():
            with self._lock:
                self._carry_in()
                self._board.sleep(_SLICE_S)
                self._carry_out()
            ahead = pace.ahead_s()
            if ahead > 0:
                self._closing.wait(ahead)
            else:
                time.sleep(0)  # lets another thread have the lock

    def _carry_in(self) -> None:
        data = read_some(self._pty.master)
        if data:
            self._console.write(data)
        for pty, wire in self._lines.values():
            said = read_some(pty.master)
            if said:
                wire.say(said)

    def _carry_out(self) -> None:
        if not self._pty.is_attached():
            return  # a bench that reads the console itself gets what is said
        self._unsent += self._console.read()
        del self._unsent[: write_some(self._pty.master, self._unsent)]
