"""The tariff use cases at work: readings in, signed and stored records out.

Brings the pure engines (`core.grid`, `core.taf16`) together with clock, signature, store
and journal. Every original reading passes through `Tariffs.take`.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from clsbench.clock import BenchClock, iso
from clsbench.smgw.core.clock_state import TimeState
from clsbench.smgw.core.grid import DueTimes, Slot
from clsbench.smgw.core.profiles import Profiles, TafProfile
from clsbench.smgw.core.readings import OriginalReading
from clsbench.smgw.core.records import content_bytes, taf7_record, taf16_record
from clsbench.smgw.core.taf16 import Announcement, Events, Key, Pending
from clsbench.smgw.journal import FAILURE, SMGW, WARNING, Journal
from clsbench.smgw.store import Draft, Store, Written
from clsbench.smgw.worker import StoreWorker

MAX_GAPS = 96 * 40  # due times recorded as missing after an outage; longer ones are only logged

Sign = Callable[[bytes], bytes]


class MeterSilent(Exception):
    """No whole telegram came in time; the text says from which meter."""


class _UnderWay(NamedTuple):
    """An event being recorded: `ready` when its readings are there, `task` gives the records."""

    ready: asyncio.Future[None]
    task: asyncio.Task[list[Written]]


class Tariffs:
    """TAF7 and TAF16 of all profiles.

    sign(content) -> CMS; written(profile) is called after each record, for the delivery.
    event_timeout_s: real seconds a meter has to give the reading of an event.
    """

    def __init__(
        self,
        profiles: Profiles,
        sign: Sign,
        time_state: TimeState,
        store: Store,
        worker: StoreWorker,
        journal: Journal,
        clock: BenchClock,
        event_timeout_s: float,
        written: Callable[[TafProfile], None],
    ):
        self._profiles = profiles
        self._sign = sign
        self._time_state = time_state
        self._store = store
        self._worker = worker
        self._journal = journal
        self._clock = clock
        self._timeout_s = event_timeout_s
        self._written = written
        self._events = Events()
        self._under_way: dict[Key, _UnderWay] = {}
        self._series: list[tuple[TafProfile, DueTimes]] = []
        self._unstored: list[tuple[str, OriginalReading]] = []
        self._kick = asyncio.Event()

    def take(self, meter: str, reading: OriginalReading) -> None:
        """A reading of the meter with this profile id: offered to every profile, and stored."""
        self._unstored.append((meter, reading))
        for pending in self._events.take(meter, reading):
            ready = self._under_way[pending.announcement.key].ready
            if not ready.done():  # it is when the wait has just ended
                ready.set_result(None)
        for taf, series in self._series:
            if taf.meter_id == meter:
                series.take(reading)
        self._kick.set()

    async def announce(
        self, announcement: Announcement, tafs: tuple[TafProfile, ...]
    ) -> list[Written]:
        """The records of the event, one per profile, in the order of `tafs`.

        Told again, the event gives the same records. Raises core.taf16.Conflict, MeterSilent.
        """
        if earlier := await self._worker.run(self._store.recorded, announcement):
            return earlier
        now = self._clock.now_ms()
        pending, new = self._events.announce(announcement, tafs, now)
        if new:
            self._tell_announced(announcement, now)
            ready = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._record_event(pending, ready))
            self._under_way[announcement.key] = _UnderWay(ready, task)
        return await asyncio.shield(self._under_way[announcement.key].task)

    async def start(self) -> None:
        """Takes up the quarter-hour series where they stopped. To be called before `take`."""
        for taf in self._profiles.with_number(7):
            self._series.append((taf, await self._resume(taf)))

    async def run(self) -> None:
        """Stores readings and keeps the quarter-hour series, for ever."""
        while True:
            self._kick.clear()
            await self._store_readings()
            for taf, series in self._series:
                await self._record_due(taf, series)
            await self._wait_for_due()

    async def close(self) -> None:
        """Gives up the events under way; their sources will announce them again."""
        tasks = [under_way.task for under_way in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._store_readings()

    async def _record_event(self, pending: Pending, ready: asyncio.Future[None]) -> list[Written]:
        announcement = pending.announcement
        try:
            async with asyncio.timeout(self._timeout_s):
                await ready
            drafts = [self._event_draft(taf, pending) for taf in pending.tafs]
            records, new = await self._worker.run(
                self._store.record_event, announcement, pending.announced_ms, drafts
            )
        except TimeoutError as error:
            missing = {taf.meter_id for taf in pending.tafs} - set(pending.readings)
            raise MeterSilent(
                f"meter {', '.join(sorted(missing))} gave no reading within {self._timeout_s:g} s"
            ) from error
        finally:
            self._events.finish(pending)
            del self._under_way[announcement.key]
        if new:
            for taf, record in zip(pending.tafs, records, strict=True):
                self._tell_written(taf, record, pending.readings[taf.meter_id], announcement)
        return records

    def _event_draft(self, taf: TafProfile, pending: Pending) -> Draft:
        reading = pending.readings[taf.meter_id]

        def build(seq: int) -> tuple[bytes, bytes]:
            record = taf16_record(
                self._profiles.smgw_id, taf, seq, pending.announcement, reading, self._time_state
            )
            content = content_bytes(record)
            return content, self._sign(content)

        return Draft(taf.profile_id, taf.emts, reading.captured_ms, build)

    async def _resume(self, taf: TafProfile) -> DueTimes:
        now = self._clock.now_ms()
        last = await self._worker.run(self._store.last_due_ms, taf.profile_id)
        series = DueTimes(now if last is None else last)
        left_out = series.skip_to(now - MAX_GAPS * series.period_ms)
        if left_out:
            message = f"{left_out} due times up to {iso(series.next_due_ms)} not recorded"
            self._journal.calibration("taf7.outage", taf.profile_id, message, WARNING, FAILURE)
        since = series.next_due_ms - series.window_ms
        for reading in await self._worker.run(self._store.readings_since, taf.meter_id, since):
            series.take(reading)
        return series

    async def _record_due(self, taf: TafProfile, series: DueTimes) -> None:
        while slots := series.decide(self._clock.now_ms()):
            for slot in slots:
                draft = self._slot_draft(taf, slot)
                record = await self._worker.run(self._store.record_due, slot.due_ms, draft)
                if record is not None:
                    self._tell_due(taf, slot, record)

    def _slot_draft(self, taf: TafProfile, slot: Slot) -> Draft:
        def build(seq: int) -> tuple[bytes, bytes]:
            record = taf7_record(self._profiles.smgw_id, taf, seq, slot, self._time_state)
            content = content_bytes(record)
            return content, self._sign(content)

        captured = slot.reading.captured_ms if slot.reading else None
        return Draft(taf.profile_id, taf.emts, captured, build)

    async def _store_readings(self) -> None:
        batch, self._unstored = self._unstored, []
        if batch:
            await self._worker.run(self._store.add_readings, batch)

    async def _wait_for_due(self) -> None:
        left_s = None
        if self._series:
            closes = min(s.next_due_ms + s.window_ms for _, s in self._series) + 1
            left_s = max(0, closes - self._clock.now_ms()) / 1000 / self._clock.speed
        try:
            async with asyncio.timeout(left_s):
                await self._kick.wait()
        except TimeoutError:
            return  # a window has closed

    def _tell_announced(self, announcement: Announcement, now_ms: int) -> None:
        self._journal.event(
            "DICAMM" if announcement.source == "han" else "aEMT",
            SMGW,
            "message",
            "event.announced",
            uuid=announcement.uuid,
            detail={
                "cls_id": announcement.cls_id,
                "event": announcement.event,
                "text": announcement.text,
                "event_ms": announcement.event_ms,
                "device_seq": announcement.device_seq,
                "source": announcement.source,
                "announced_ms": now_ms,
            },
        )

    def _tell_written(
        self, taf: TafProfile, record: Written, reading: OriginalReading, told: Announcement
    ) -> None:
        self._tell_reading(reading, told.uuid)
        detail = _detail(record, reading)
        detail |= {"taf": 16, "event": told.event, "cls_id": told.cls_id, "source": told.source}
        self._journal.event(SMGW, SMGW, "record", "record.written", uuid=told.uuid, detail=detail)
        message = f"record {record.seq} of {taf.profile_id}: {told.event} {told.uuid}"
        self._journal.consumer(taf.final_consumer, "record.written", told.cls_id, message)
        self._written(taf)

    def _tell_due(self, taf: TafProfile, slot: Slot, record: Written) -> None:
        if slot.reading is None:
            detail = {"profile_id": taf.profile_id, "seq": record.seq, "due_ms": slot.due_ms}
            self._journal.event(SMGW, SMGW, "fault", "taf7.gap", ok=False, detail=detail)
            message = f"no reading at {iso(slot.due_ms)}"
            self._journal.consumer(
                taf.final_consumer, "taf7.gap", taf.profile_id, message, WARNING, FAILURE
            )
        else:
            self._tell_reading(slot.reading, None)
            detail = _detail(record, slot.reading) | {"taf": 7, "due_ms": slot.due_ms}
            self._journal.event(SMGW, SMGW, "record", "taf7.record", detail=detail)
        self._written(taf)

    def _tell_reading(self, reading: OriginalReading, uuid: str | None) -> None:
        self._journal.event(
            "meter",
            SMGW,
            "message",
            "lmn.reading",
            uuid=uuid,
            detail={
                "meter_id": reading.meter_id,
                "captured_ms": reading.captured_ms,
                "values": [value.as_json() for value in reading.values],
            },
            raw=reading.telegram,
        )


def _detail(record: Written, reading: OriginalReading) -> dict:
    return {
        "profile_id": record.profile_id,
        "seq": record.seq,
        "meter_id": reading.meter_id,
        "captured_ms": record.captured_ms,
        "values": [value.as_json() for value in reading.values],
    }
