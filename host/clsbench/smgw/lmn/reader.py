"""Reads a meter that pushes SML telegrams on a serial line of the LMN.

A reading's time is the arrival of its telegram's first byte. Knows the line and the meter's
profile; what readings are for is the receiver's business (`on_reading`). Decodes with the
reader of the device, `dicamm.proto.sml`.
Source: BSI Detailspezifikationen 2.0 (time of reception, within 500 ms of the first byte).
"""

import asyncio
from collections import deque
from collections.abc import Callable

import serial
import serial_asyncio

from clsbench.clock import BenchClock
from clsbench.smgw.core.profiles import ANY_METER, MeterProfile
from clsbench.smgw.core.readings import OriginalReading, ReadingRefused, from_telegram
from clsbench.smgw.journal import FAILURE, SMGW, WARNING, Journal
from dicamm.proto.sml import FRAME, SmlFrame, SmlReceiver
from dicamm.proto.sml_transport import MAX_FRAME

READ_BYTES = 1024
REOPEN_MIN_S = 0.5
REOPEN_MAX_S = 10.0
TELL_EVERY_S = 10.0  # discarded bytes and refused telegrams are told of at most this often

OnReading = Callable[[str, OriginalReading], None]


class Stream:
    """The recent bytes of a line, each with the time it arrived."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._base = 0  # place in the stream of the first byte kept
        self._arrivals: deque[tuple[int, int]] = deque()  # (place of a chunk's first byte, ms)

    def add(self, data: bytes, arrived_ms: int) -> None:
        """Appends bytes that arrived together; keeps two telegrams' worth."""
        self._arrivals.append((self._base + len(self._bytes), arrived_ms))
        self._bytes += data
        surplus = len(self._bytes) - 2 * MAX_FRAME
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


class MeterReader:
    """One meter on one serial port; `on_reading` gets the profile's meter id and the reading."""

    def __init__(
        self,
        profile: MeterProfile,
        port: str,
        baud: int,
        clock: BenchClock,
        journal: Journal,
        on_reading: OnReading,
    ):
        self.last: OriginalReading | None = None
        self.key = profile.meter_id
        self._profile = profile
        self._port = port
        self._baud = baud
        self._clock = clock
        self._journal = journal
        self._on_reading = on_reading
        self._untold: dict[str, int] = {}  # reason -> number since the last report
        self._told: set[str] = set()  # reasons in the calibration log's latest entry
        self._told_at = float("-inf")
        self._lost = False

    async def run(self) -> None:
        """Reads for ever; opens the port again whenever it fails."""
        pause_s = REOPEN_MIN_S
        while True:
            try:
                reader, writer = await serial_asyncio.open_serial_connection(
                    url=self._port, baudrate=self._baud
                )
            except (serial.SerialException, OSError, ValueError) as error:
                self._tell_lost(str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(REOPEN_MAX_S, pause_s * 2)
                continue
            pause_s = REOPEN_MIN_S
            self._tell_open()
            try:
                await self._read(reader)
                self._tell_lost("line closed")
            except (serial.SerialException, OSError) as error:
                self._tell_lost(str(error))
            finally:
                writer.close()
            await asyncio.sleep(pause_s)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        receiver, stream = SmlReceiver(), Stream()
        while data := await reader.read(READ_BYTES):
            stream.add(data, self._clock.now_ms())
            receiver.feed(data)
            while (event := receiver.next_event()) is not None:
                if event.kind == FRAME:
                    self._take(event.data, stream)
                else:
                    self._count(event.data)

    def _take(self, frame: SmlFrame, stream: Stream) -> None:
        telegram = stream.part(frame.offset, frame.length)
        captured_ms = stream.arrived_ms(frame.offset)
        try:
            reading = from_telegram(frame, captured_ms, self._profile, telegram)
        except ReadingRefused as refused:
            self._count(str(refused))
            return
        if self._profile.meter_id == ANY_METER:
            self._learn(reading.meter_id)
        self.last = reading
        self._on_reading(self.key, reading)

    def _learn(self, meter_id: str) -> None:
        self._profile = MeterProfile(meter_id, self._profile.obis)
        message = f"meter {meter_id} on {self._port}: first one seen, the only one taken from now"
        self._journal.event(
            "meter", SMGW, "state", "lmn.learnt", detail={"meter_id": meter_id, "port": self._port}
        )
        self._journal.calibration("meter.learnt", meter_id, message)

    def _count(self, reason: str) -> None:
        self._untold[reason] = self._untold.get(reason, 0) + 1
        now = asyncio.get_running_loop().time()
        if now - self._told_at < TELL_EVERY_S:
            return
        self._told_at = now
        detail = {"port": self._port, "meter": self.key, "discarded": self._untold}
        self._journal.event("meter", SMGW, "fault", "lmn.discarded", ok=False, detail=detail)
        if set(self._untold) != self._told:  # the same reasons over and over are logged once
            self._told = set(self._untold)
            message = ", ".join(f"{why}: {number}" for why, number in self._untold.items())
            self._journal.calibration("lmn.discarded", self.key, message, WARNING, FAILURE)
        self._untold = {}

    def _tell_open(self) -> None:
        self._lost = False
        detail = {"port": self._port, "baud": self._baud, "meter": self.key}
        self._journal.event("meter", SMGW, "state", "lmn.open", detail=detail)

    def _tell_lost(self, reason: str) -> None:
        if self._lost:
            return
        self._lost = True
        detail = {"port": self._port, "meter": self.key, "reason": reason}
        self._journal.event("meter", SMGW, "fault", "lmn.lost", ok=False, detail=detail)
        self._journal.calibration("lmn.lost", self.key, reason, WARNING, FAILURE)
