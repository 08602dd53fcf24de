"""A serial line between two ptys that takes the time a wire takes.

Each end is a path any program opens like a serial port. Knows bytes and the baud rate, no
protocol. Both directions run independently: collisions of a half-duplex bus do not occur.
"""

import os
import random
import select
import threading
import time
import tty
from collections import deque
from collections.abc import Callable

from clsbench.errors import BadInput, EnvironmentProblem

Tap = Callable[[str, bytes, int], None]
"""(direction "a->b" or "b->a", bytes as delivered, time.monotonic_ns()); must not raise."""

QUEUE_LIMIT = 4096  # bytes on their way per direction; beyond, the sender's write waits
_COALESCE_NS = 500_000  # bytes in the middle of a burst may wait this long for the next ones
_SETTLE_S = 0.01  # the kernel hands bytes to a pty's reader from a queue of its own


class _End:
    """One pty: the master is ours, the slave's path belongs to whoever talks on the line."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        self.path = os.ttyname(self.slave)
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        os.set_blocking(self.slave, False)

    def read(self) -> bytes:
        """What was written into this end; b"" when nothing is there. Mends a hung-up pty."""
        try:
            return os.read(self.master, QUEUE_LIMIT)
        except BlockingIOError:
            return b""
        except OSError:
            # A session leader that had this pty as its terminal has ended, and the kernel
            # hung up every open slave, ours too. Opening the path again brings it back.
            os.close(self.slave)
            self.slave = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            tty.setraw(self.slave)
            return b""

    def discard_unread(self) -> None:
        """Reads what the user of the path has not read, until nothing comes for a while."""
        while select.select([self.slave], [], [], _SETTLE_S)[0]:
            try:
                os.read(self.slave, QUEUE_LIMIT)
            except BlockingIOError:
                return

    def write(self, data: bytes) -> int:
        """Number of bytes that found room: the kernel holds some 64 KiB for a slow reader."""
        try:
            return os.write(self.master, data)
        except OSError:
            return 0

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


class _Direction:
    """The bytes on their way from one end to the other, each with the instant it arrives."""

    def __init__(self, name: str, source: _End, sink: _End):
        self.name = name
        self.source = source
        self.sink = sink
        self.queue: deque[tuple[int, int]] = deque()  # (arrival in monotonic ns, byte)
        self._free_ns = 0

    def accept(self, data: bytes, char_ns: int, now_ns: int) -> None:
        arrival_ns = max(self._free_ns, now_ns)
        for byte in data:
            arrival_ns += char_ns
            self.queue.append((arrival_ns, byte))
        self._free_ns = arrival_ns

    def due(self, now_ns: int) -> bytes:
        data = bytearray()
        while self.queue and self.queue[0][0] <= now_ns:
            data.append(self.queue.popleft()[1])
        return bytes(data)

    def wake_ns(self) -> int | None:
        """When to look again: the end of a burst on time, its middle in small groups."""
        if not self.queue:
            return None
        return min(self.queue[-1][0], self.queue[0][0] + _COALESCE_NS)


class SerialLine:
    """Two ptys, `a_path` and `b_path`, joined by a thread that forwards at the baud rate.

    bits_per_char: 10 (8N1) or 11 (8E1, 8N2). Paced, the n-th byte of a frame arrives n
    characters after the frame was written, never before. paced False: at once. tap: called
    from the line's thread with every delivered chunk. Either end may be closed and opened
    again by a new process; the path stays. Raises BadInput and EnvironmentProblem (no pty).
    Counts in `dropped`: bytes lost to an unplugged line or to a reader that does not read.
    """

    def __init__(
        self,
        baud: int = 9600,
        bits_per_char: int = 10,
        paced: bool = True,
        tap: Tap | None = None,
    ):
        if baud < 1 or bits_per_char not in (10, 11):
            raise BadInput(f"serial line: baud {baud}, {bits_per_char} bits: expected 10 or 11")
        self.char_ns = bits_per_char * 1_000_000_000 // baud if paced else 0
        self.dropped: dict[str, int] = {}
        self._tap = tap
        self._plugged = True
        self._closing = False
        self._errors: tuple[int, random.Random] | None = None
        self._lock = threading.Lock()
        try:
            self._a, self._b = _End(), _End()
            self._wake_read, self._wake_write = os.pipe()
        except OSError as error:
            raise EnvironmentProblem(f"serial line: no pty to be had: {error}") from error
        self._directions = (
            _Direction("a->b", self._a, self._b),
            _Direction("b->a", self._b, self._a),
        )
        self._thread = threading.Thread(target=self._run, name="serial-line", daemon=True)
        self._thread.start()

    @property
    def a_path(self) -> str:
        """Path of the first end."""
        return self._a.path

    @property
    def b_path(self) -> str:
        """Path of the second end."""
        return self._b.path

    def unplug(self) -> None:
        """Breaks the wire: bytes on it and bytes written from now on are lost."""
        with self._lock:
            self._plugged = False
            for direction in self._directions:
                self._drop("unplugged", len(direction.queue))
                direction.queue.clear()

    def plug(self) -> None:
        """Mends the wire."""
        with self._lock:
            self._plugged = True

    def inject_bit_errors(self, per_million: int, seed: int = 0) -> None:
        """From now on every bit flips with this probability (0: none), repeatable by the seed."""
        if not 0 <= per_million <= 1_000_000:
            raise BadInput(f"bit errors: {per_million} per million: expected 0 to 1000000")
        with self._lock:
            self._errors = (per_million, random.Random(seed)) if per_million else None

    def discard_unread(self, side: str) -> None:
        """Forgets what side "a" or "b" has not read: its UART lost power."""
        if side not in ("a", "b"):
            raise BadInput(f"serial line has no side {side!r}; it has 'a' and 'b'")
        (self._a if side == "a" else self._b).discard_unread()

    def close(self) -> None:
        """Ends the thread and closes both ptys. May be called twice."""
        if self._closing:
            return
        self._closing = True
        os.write(self._wake_write, b"x")
        self._thread.join()
        for end in (self._a, self._b):
            end.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def __enter__(self) -> "SerialLine":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._closing:
            self._wait()
            with self._lock:
                chunks = [self._forward(direction) for direction in self._directions]
            if self._tap is not None:
                for direction, data in zip(self._directions, chunks):
                    if data:
                        self._tap(direction.name, data, time.monotonic_ns())

    def _wait(self) -> None:
        sources = [d.source.master for d in self._directions if len(d.queue) < QUEUE_LIMIT]
        wakes = [wake for d in self._directions if (wake := d.wake_ns()) is not None]
        timeout = None
        if wakes:
            timeout = max(0, min(wakes) - time.monotonic_ns()) / 1e9
        select.select([self._wake_read, *sources], [], [], timeout)

    def _forward(self, direction: _Direction) -> bytes:
        if len(direction.queue) < QUEUE_LIMIT:
            data = direction.source.read()
            if self._plugged:
                direction.accept(data, self.char_ns, time.monotonic_ns())
            else:
                self._drop("unplugged", len(data))
        due = self._spoil(direction.due(time.monotonic_ns()))
        if due:
            written = direction.sink.write(due)
            self._drop("overrun", len(due) - written)
            return due[:written]
        return b""

    def _spoil(self, data: bytes) -> bytes:
        if self._errors is None:
            return data
        per_million, rng = self._errors
        return bytes(
            byte ^ sum(1 << bit for bit in range(8) if rng.randrange(1_000_000) < per_million)
            for byte in data
        )

    def _drop(self, reason: str, count: int) -> None:
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count
