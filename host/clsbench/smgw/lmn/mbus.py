"""Asks the meters of a wired M-Bus, one after the other, every `pull_s` seconds.

Knows the line and who is on it; frames are the device's (`dicamm.proto.mbus_master`), values
`mbus_registers`'. A reading's time is the first byte of its first telegram.
Source: EN 13757-2 (link layer, times), EN 13757-3 (telegrams).
"""

import asyncio
from dataclasses import dataclass

from clsbench.clock import BenchClock
from clsbench.meters.mbus_document import telegram_document
from clsbench.smgw.core.profiles import MeterProfile
from clsbench.smgw.core.readings import ReadingRefused
from clsbench.smgw.journal import Journal
from clsbench.smgw.lmn.line import READ_BYTES, LineReader, OnReading
from clsbench.smgw.lmn.mbus_registers import reading_of, secondary
from clsbench.smgw.lmn.patience import Patience
from dicamm.proto import mbus_master

TRIES = 3
MAX_TELEGRAMS = 16  # of one reading
_SLACK_S = 0.15  # of PCs and adapters, on top of the times of the standard
_CHARACTER_BITS = 11


@dataclass(frozen=True, slots=True)
class BusMeter:
    """A meter on the bus. address: primary one, None: selected by its secondary address."""

    profile: MeterProfile
    address: int | None


class NoAnswer(Exception):
    """A meter gave no whole answer; the text is the reason."""


class MbusReader(LineReader):
    """All meters of one wired bus."""

    def __init__(
        self,
        meters: list[BusMeter],
        port: str,
        baud: int,
        clock: BenchClock,
        journal: Journal,
        on_reading: OnReading,
        pull_s: float,
    ):
        keys = tuple(meter.profile.meter_id for meter in meters)
        super().__init__(port, baud, keys, clock, journal, on_reading, parity="E")
        self._meters = [(meter, Patience()) for meter in meters]
        self._pull_s = pull_s
        self._master = mbus_master.MbusMaster()
        self._first_ms = 0  # first byte of the answer in hand

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while not reader.at_eof():
            begun = loop.time()
            for meter, patience in self._meters:
                if not patience.due(loop.time()):
                    continue
                try:
                    await self._read(meter, reader, writer)
                    patience.answered()
                except NoAnswer as silent:
                    patience.failed(loop.time())
                    self._count(f"meter {meter.profile.meter_id}: {silent}")
                except ReadingRefused as refused:
                    self._count(str(refused))
            again = begun + self._pull_s
            await self._pause(min(patience.next_s(again) for _, patience in self._meters))

    async def _read(
        self, meter: BusMeter, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One reading, all its telegrams. Raises NoAnswer, ReadingRefused."""
        master, line = self._master, (reader, writer)
        place = mbus_master.SELECTED if meter.address is None else meter.address
        if meter.address is None:
            await self._again(master.select(secondary(meter.profile.meter_id)), line)
        else:
            await self._again(master.reset(place), line)
        captured_ms, records, raw, header = 0, [], b"", None
        for _ in range(MAX_TELEGRAMS):
            await self._again(master.request(place), line)
            assert master.frame is not None
            data = bytes(master.frame.data)
            said = telegram_document(data)
            if said["error"] or said["header"] is None:
                raise ReadingRefused(f"M-Bus telegram: {said['error'] or 'no header'}")
            captured_ms, header = captured_ms or self._first_ms, header or said["header"]
            records += said["records"]
            raw += data
            if not said["more"]:
                break
        if header is None or None in (header["identification"], header["manufacturer"]):
            raise ReadingRefused("telegram without meter id")
        address = header["manufacturer"].to_bytes(2, "little")
        address += bytes.fromhex(header["identification"])
        address += bytes((header["version"], header["medium"]))
        reading = reading_of(address, header["status"], records, captured_ms, meter.profile, raw)
        self._give(meter.profile.meter_id, reading)

    async def _again(
        self, request: bytes, line: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        for attempt in range(TRIES):
            await self._once(self._master.repeat() if attempt else request, *line)
            if self._master.status == mbus_master.DONE:
                return
        raise NoAnswer(mbus_master.ERROR_NAMES[self._master.error])

    async def _once(
        self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        master = self._master
        writer.write(request)
        sending_s = _CHARACTER_BITS * len(request) / self._baud
        limit_s = sending_s + mbus_master.answer_us(self._baud) / 1e6 + _SLACK_S
        self._first_ms = 0
        while master.status == mbus_master.PENDING:
            try:
                async with asyncio.timeout(limit_s):
                    data = await reader.read(READ_BYTES)
            except TimeoutError:
                master.silence()
                continue
            if not data:
                raise OSError("line closed")
            if data != request:  # an echo is not the answer's begin
                self._first_ms = self._first_ms or self._clock.now_ms()
            master.feed(data)
            limit_s = mbus_master.gap_us(self._baud) / 1e6 + _SLACK_S
