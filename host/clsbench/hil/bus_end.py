"""The bench's end of an RS-485 bus in wall time: frames in, a peer's replies out when due.

The line is a pty of ours or an RS-485 adapter on a port of pyserial. Knows when a frame ends, not
what it says; keeps no baud rate on a pty, which has none.
"""

import contextlib
import heapq
import itertools
import os
import select
import threading
import time
from typing import Protocol

import serial

from clsbench.errors import EnvironmentProblem
from clsbench.hil.board import Peer
from clsbench.hil.ptys import Pty

PTY_GAP_S = 0.003  # a pty brings a frame in one piece
PORT_GAP_S = 0.02  # a USB adapter hands on what it has every 16 ms
_LOOK_S = 0.1


class Line(Protocol):
    """Bytes of a bus."""

    gap_s: float  # of silence, which ends a frame

    def read(self, seconds: float) -> bytes:
        """What comes within `seconds`; b"" when nothing does."""
        ...

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class PtyLine:
    """A pty whose other side is the board's."""

    gap_s = PTY_GAP_S

    def __init__(self) -> None:
        self._pty = Pty()
        self.path = self._pty.path

    def read(self, seconds: float) -> bytes:
        if not select.select([self._pty.master], [], [], seconds)[0]:
            return b""
        with contextlib.suppress(OSError):
            return os.read(self._pty.master, 512)
        return b""

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self._pty.master, data)

    def close(self) -> None:
        self._pty.close()


class PortLine:
    """An RS-485 adapter, by path or URL."""

    def __init__(self, port: str, baud: int):
        is_pty = os.path.realpath(port).startswith("/dev/pts/")
        self.gap_s = PTY_GAP_S if is_pty else PORT_GAP_S
        try:
            self._port = serial.serial_for_url(port, baudrate=baud, timeout=_LOOK_S)
        except (OSError, ValueError, serial.SerialException) as error:
            raise EnvironmentProblem(f"bus adapter {port} cannot be opened: {error}") from error

    def read(self, seconds: float) -> bytes:
        with contextlib.suppress(OSError, TypeError, serial.SerialException):
            self._port.timeout = seconds
            data = self._port.read(1)
            return data + self._port.read(self._port.in_waiting) if data else b""
        return b""

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError, serial.SerialException):
            self._port.write(data)

    def close(self) -> None:
        self._port.close()


class BusEnd:
    """`connect` says who answers; a thread of its own reads and sends until `close`."""

    def __init__(self, line: Line):
        self._line = line
        self._peer: Peer | None = None
        self._due: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="bus-end", daemon=True)
        self._thread.start()

    def connect(self, peer: Peer | None) -> None:
        self._peer = peer

    def close(self) -> None:
        """Ends the thread and gives the line back. May be called twice."""
        if not self._closing:
            self._closing = True
            self._thread.join()
            self._line.close()

    def _run(self) -> None:
        frame = b""
        while not self._closing:
            data = self._line.read(self._patience(bool(frame)))
            frame += data
            if frame and not data:
                self._answer(frame)
                frame = b""
            self._send_due()

    def _patience(self, begun: bool) -> float:
        patience = self._line.gap_s if begun else _LOOK_S
        if self._due and not begun:
            patience = min(patience, max(0.0, self._due[0][0] - time.monotonic()))
        return patience

    def _answer(self, frame: bytes) -> None:
        peer = self._peer
        now = time.monotonic()
        for delay_s, data in peer(frame) if peer is not None else ():
            heapq.heappush(self._due, (now + delay_s, next(self._order), data))

    def _send_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            self._line.write(heapq.heappop(self._due)[2])
