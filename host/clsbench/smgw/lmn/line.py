"""A serial line of the LMN: opened, opened again when it fails, its troubles told.

Knows ports and instants; what the bytes say is read by `reader` (SML), `mbus`, `wmbus` and
`hdlc_line`. A reading's time is the arrival of its first byte.
Source: BSI Detailspezifikationen 2.0 (time of reception, within 500 ms of the first byte).
"""

import asyncio
from collections import deque
from collections.abc import Callable

import serial
import serial_asyncio

from clsbench.clock import BenchClock
from clsbench.meters.rtu_line import is_pty
from clsbench.smgw.core.readings import OriginalReading
from clsbench.smgw.journal import FAILURE, SMGW, WARNING, Journal
from dicamm.proto.sml_transport import MAX_FRAME

READ_BYTES = 1024
REOPEN_MIN_S = 0.5
REOPEN_MAX_S = 10.0
TELL_EVERY_S = 10.0  # discarded bytes and refused telegrams are told of at most this often

OnReading = Callable[[str, OriginalReading], None]


class Stream:
    """The recent bytes of a line, each with the time it arrived."""

    def __init__(self, limit: int = 2 * MAX_FRAME) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self._base = 0  # place in the stream of the first byte kept
        self._arrivals: deque[tuple[int, int]] = deque()  # (place of a chunk's first byte, ms)

    def add(self, data: bytes, arrived_ms: int) -> None:
        """Appends bytes that arrived together; keeps two telegrams' worth."""
        self._arrivals.append((self._base + len(self._bytes), arrived_ms))
        self._bytes += data
        surplus = len(self._bytes) - self._limit
        if surplus > 0:
            del self._bytes[:surplus]
            self._base += surplus
        while len(self._arrivals) > 1 and self._arrivals[1][0] <= self._base:
            self._arrivals.popleft()

    def part(self, offset: int, length: int) -> bytes:
        """The bytes at a place in the stream, as far as they are kept."""
        start = max(0, offset - self._base)
        return bytes(self._bytes[start : start + length])

    def arrived_ms(self, offset: int) -> int:
        """When the byte at this place arrived. At least one byte must have been added."""
        arrived = self._arrivals[0][1]
        for place, moment in self._arrivals:
            if place > offset:
                break
            arrived = moment
        return arrived


class LineReader:
    """Whoever reads a port: one meter or several. `on_reading` gets meter id and reading.

    keys: meter ids as the profiles name them. last: the latest reading of each.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        keys: tuple[str, ...],
        clock: BenchClock,
        journal: Journal,
        on_reading: OnReading,
        parity: str = "N",
    ):
        self.last: dict[str, OriginalReading] = {}
        self.port = port
        self._baud = baud
        self._keys = keys
        self._parity = parity
        self._clock = clock
        self._journal = journal
        self._on_reading = on_reading
        self._untold: dict[str, int] = {}  # reason -> number since the last report
        self._told: set[str] = set()  # reasons in the calibration log's latest entry
        self._told_at = float("-inf")
        self._lost = False
        self._wanted = asyncio.Event()

    def ask(self, key: str) -> None:
        """Somebody waits for this meter's next reading: whoever asks meters does so at once."""
        if key in self._keys:
            self._wanted.set()

    async def run(self) -> None:
        """Reads for ever; opens the port again whenever it fails."""
        pause_s = REOPEN_MIN_S
        while True:
            try:
                reader, writer = await self._open()
            except (serial.SerialException, OSError, ValueError) as error:
                self._tell_lost(str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(REOPEN_MAX_S, pause_s * 2)
                continue
            pause_s = REOPEN_MIN_S
            self._tell_open()
            try:
                await self._serve(reader, writer)
                self._tell_lost("line closed")
            except (serial.SerialException, OSError) as error:
                self._tell_lost(str(error))
            finally:
                writer.close()
            await asyncio.sleep(pause_s)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reads until the line ends. Each protocol has its own."""
        raise NotImplementedError

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parity = "N" if is_pty(self.port) else self._parity
        return await serial_asyncio.open_serial_connection(
            url=self.port, baudrate=self._baud, parity=parity
        )

    async def _pause(self, until: float) -> None:
        """Waits until this instant of the loop's clock, or until `ask`."""
        try:
            async with asyncio.timeout_at(until):
                await self._wanted.wait()
        except TimeoutError:
            pass
        self._wanted.clear()

    def _give(self, key: str, reading: OriginalReading) -> None:
        self.last[key] = reading
        self._on_reading(key, reading)

    def _count(self, reason: str) -> None:
        self._untold[reason] = self._untold.get(reason, 0) + 1
        now = asyncio.get_running_loop().time()
        if now - self._told_at < TELL_EVERY_S:
            return
        self._told_at = now
        detail = self._detail() | {"discarded": self._untold}
        self._journal.event("meter", SMGW, "fault", "lmn.discarded", ok=False, detail=detail)
        if set(self._untold) != self._told:  # the same reasons over and over are logged once
            self._told = set(self._untold)
            message = ", ".join(f"{why}: {number}" for why, number in self._untold.items())
            self._journal.calibration("lmn.discarded", self._subject(), message, WARNING, FAILURE)
        self._untold = {}

    def _tell_open(self) -> None:
        self._lost = False
        detail = self._detail() | {"baud": self._baud}
        self._journal.event("meter", SMGW, "state", "lmn.open", detail=detail)

    def _tell_lost(self, reason: str) -> None:
        if self._lost:
            return
        self._lost = True
        detail = self._detail() | {"reason": reason}
        self._journal.event("meter", SMGW, "fault", "lmn.lost", ok=False, detail=detail)
        self._journal.calibration("lmn.lost", self._subject(), reason, WARNING, FAILURE)

    def _detail(self) -> dict:
        return {"port": self.port, "meter": self._subject()}

    def _subject(self) -> str:
        return self._keys[0] if len(self._keys) == 1 else self.port
