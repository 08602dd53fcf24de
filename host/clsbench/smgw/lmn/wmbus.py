"""Listens to the receiver module of wireless M-Bus on a serial line: meters send by themselves.

Security profile B: a telegram counts only when its code was checked (mode 7, AFL) and its message
counter is above the last one, which is kept over restarts. Knows the line and the keys; layers
and ciphers are the device's (`dicamm.proto.wmbus`), values `mbus_registers`'.
Source: BSI Detailspezifikationen 2.0 chapter 10; EN 13757-7; OMS specification volume 2.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from clsbench.clock import BenchClock
from clsbench.meters.aes import Aes
from clsbench.meters.mbus_document import read_records
from clsbench.smgw.core.profiles import MeterProfile
from clsbench.smgw.core.readings import ReadingRefused
from clsbench.smgw.journal import Journal
from clsbench.smgw.lmn.line import READ_BYTES, LineReader, OnReading, Stream
from clsbench.smgw.lmn.mbus_registers import is_meter, reading_of
from dicamm.proto.wmbus import WmbusTelegram
from dicamm.proto.wmbus_compact import CompactFormats
from dicamm.proto.wmbus_fragments import Fragments
from dicamm.proto.wmbus_link import MAX_TELEGRAM, WmbusLink, read_link

PROFILE_B = "B"
ANY_SECURITY = "any"
_SILENCE_S = 0.1  # ends a telegram: far more than any gap inside, less than between two
_MODE_7 = 7

Recall = Callable[[str], Awaitable[int | None]]
Keep = Callable[[str, int], None]


@dataclass(slots=True)
class RadioMeter:
    """A meter in reach. key: 16 bytes, None: it sends in the clear. security: which is asked."""

    profile: MeterProfile
    key: bytes | None = field(repr=False)
    security: str = PROFILE_B
    counter: int | None = None  # the highest accepted


class WmbusReader(LineReader):
    """All meters heard by one receiver. recall, keep: the message counter of a meter id."""

    def __init__(
        self,
        meters: list[RadioMeter],
        port: str,
        baud: int,
        clock: BenchClock,
        journal: Journal,
        on_reading: OnReading,
        recall: Recall,
        keep: Keep,
    ):
        keys = tuple(meter.profile.meter_id for meter in meters)
        super().__init__(port, baud, keys, clock, journal, on_reading)
        self._meters = meters
        self._recall = recall
        self._keep = keep
        self._formats = CompactFormats()
        self._fragments = Fragments()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for meter in self._meters:
            if meter.counter is None:
                meter.counter = await self._recall(meter.profile.meter_id)
        waiting, stream, place = b"", Stream(4 * MAX_TELEGRAM), 0
        while True:
            try:
                async with asyncio.timeout(_SILENCE_S if waiting else None):
                    data = await reader.read(READ_BYTES)
            except TimeoutError:
                self._count("wM-Bus telegram cut off")
                place, waiting = place + len(waiting), b""
                continue
            if not data:
                return
            stream.add(data, self._clock.now_ms())
            waiting += data
            while waiting:
                link, reason = read_link(waiting)
                if reason == "cut off":
                    break
                used = link.length if link else len(waiting)
                if link:
                    self._take(link, stream.arrived_ms(place), waiting[:used])
                else:
                    self._count(f"wM-Bus telegram: {reason}")
                place, waiting = place + used, waiting[used:]

    def _take(self, link: WmbusLink, captured_ms: int, raw: bytes) -> None:
        for meter in self._meters:
            if is_meter(meter.profile.meter_id, link.address):
                try:
                    self._read(meter, link, captured_ms, raw)
                except ReadingRefused as refused:
                    self._count(str(refused))
                return  # telegrams of other people's meters are heard all day

    def _read(self, meter: RadioMeter, link: WmbusLink, captured_ms: int, raw: bytes) -> None:
        meter_id = meter.profile.meter_id
        telegram = WmbusTelegram(
            link,
            Aes(),
            meter.key,
            meter.counter,
            formats=self._formats,
            fragments=self._fragments,
        )
        if telegram.error:
            raise ReadingRefused(f"meter {meter_id}: wM-Bus {telegram.error}")
        if meter.security == PROFILE_B and not (telegram.authentic and telegram.mode == _MODE_7):
            raise ReadingRefused(f"meter {meter_id}: telegram without security profile B")
        if telegram.authentic and telegram.counter is not None:
            meter.counter = telegram.counter
            self._keep(meter_id, telegram.counter)
        records, said = telegram.records(), {"records": [], "more": False, "error": None}
        if records is None or telegram.telegram is None:
            raise ReadingRefused(f"meter {meter_id}: telegram without values")
        read_records(records, said)
        if said["error"]:
            raise ReadingRefused(f"meter {meter_id}: records: {said['error']}")
        self._formats.learn(telegram.telegram)
        status = telegram.telegram.status or 0
        reading = reading_of(
            telegram.address, status, said["records"], captured_ms, meter.profile, raw
        )
        self._give(meter_id, reading)
