"""The tariff use cases at work: readings in, signed and stored records out.

Brings the pure engines (`core.taf16`, `core.state_watch`) together with clock, store and
journal; due times and periods are `series`'. Every original reading passes through
`Tariffs.take`.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from clsbench.smgw.archive import Archive
from clsbench.smgw.clock import GatewayClock
from clsbench.smgw.core.evaluation import ON_DEMAND, STATE, THRESHOLD, TafProfile
from clsbench.smgw.core.originals import originals
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.readings import OriginalReading
from clsbench.smgw.core.state_watch import StateWatch
from clsbench.smgw.core.taf16 import Announcement, Events, Key, Pending
from clsbench.smgw.journal import SMGW, Journal
from clsbench.smgw.recorder import Recorder
from clsbench.smgw.series import SeriesDesk
from clsbench.smgw.store import Store, Written
from clsbench.smgw.telling import record_detail, tell_reading
from clsbench.smgw.worker import StoreWorker


class MeterSilent(Exception):
    """No whole telegram came in time; the text says from which meter."""


class _UnderWay(NamedTuple):
    """An event being recorded: `ready` when its readings are there, `task` gives the records."""

    ready: asyncio.Future[None]
    task: asyncio.Task[list[Written]]


class Tariffs:
    """All evaluation profiles. written(profile) is called after each record, for the delivery.

    event_timeout_s: real seconds a meter has to give the reading of an event. ask_meter(meter):
    called when its next reading is waited for, so that a meter that only answers is asked at once.
    """

    def __init__(
        self,
        profiles: Profiles,
        recorder: Recorder,
        store: Store,
        archive: Archive,
        worker: StoreWorker,
        journal: Journal,
        clock: GatewayClock,
        event_timeout_s: float,
        written: Callable[[TafProfile], None],
    ):
        self._recorder = recorder
        self._store = store
        self._archive = archive
        self._worker = worker
        self._journal = journal
        self._clock = clock
        self._timeout_s = event_timeout_s
        self._written = written
        self._events = Events()
        self._under_way: dict[Key, _UnderWay] = {}
        self._series = SeriesDesk(
            profiles, recorder, store, archive, worker, journal, clock, written
        )
        self._profiles = profiles
        self._watches = [StateWatch(taf) for taf in profiles.with_number(*STATE)]
        self._round = asyncio.Lock()  # one round, or a change of profiles, at a time
        self._passed: list[tuple[TafProfile, OriginalReading]] = []
        self._asked: list[tuple[str, asyncio.Future[OriginalReading]]] = []
        self._unstored: list[tuple[str, OriginalReading]] = []
        self._kept: list[tuple[str, OriginalReading]] = []  # for the original list
        self._wanted: set[str] = set()  # meters whose next reading is kept there
        self._kick = asyncio.Event()
        self.ask_meter: Callable[[str], None] = lambda meter: None

    def take(self, meter: str, reading: OriginalReading) -> None:
        """A reading of the meter with this profile id: offered to every profile, and stored."""
        if self._clock.is_set:  # a stamp of an unset clock would be taken for a due time's later
            self._unstored.append((meter, reading))
        for pending in self._events.take(meter, reading):
            ready = self._under_way[pending.announcement.key].ready
            if not ready.done():  # it is when the wait has just ended
                ready.set_result(None)
        self._series.take(meter, reading)
        for watch in self._watches:
            if watch.taf.meter_id == meter and watch.take(reading):
                self._passed.append((watch.taf, reading))
        for wanted, answer in self._asked:
            if wanted == meter and not answer.done():
                answer.set_result(reading)
        if meter in self._wanted:
            self._wanted.discard(meter)
            self._kept.append((meter, reading))
        self._kick.set()

    def keep_next(self, meter: str) -> None:
        """The meter's next reading goes to the original list: something was switched."""
        self._wanted.add(meter)

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
            for taf in tafs:
                self.ask_meter(taf.meter_id)
        return await asyncio.shield(self._under_way[announcement.key].task)

    async def fetch(self, taf: TafProfile) -> Written:
        """The record of the meter's next telegram (TAF9, TAF10 on demand). Raises MeterSilent."""
        answer: asyncio.Future[OriginalReading] = asyncio.get_running_loop().create_future()
        asked = (taf.meter_id, answer)
        self._asked.append(asked)
        self.ask_meter(taf.meter_id)
        try:
            async with asyncio.timeout(self._timeout_s):
                reading = await answer
        except TimeoutError as error:
            raise self._silent(taf.meter_id) from error
        finally:
            self._asked.remove(asked)
        return await self._record_state(taf, reading, ON_DEMAND)

    async def start(self) -> None:
        """Takes up the series where they stopped. To be called before `take`."""
        await self._series.start()

    async def adopt(self, profiles: Profiles) -> None:
        """Puts these profiles in force, between two rounds; no reading is lost by it."""
        async with self._round:
            before = (self._profiles.meters, self._profiles.tafs)
            self._profiles.adopt(profiles)
            if before == (profiles.meters, profiles.tafs):
                return
            while self._unstored:  # those that come meanwhile too
                await self._store_readings()
            await self._series.start()
            known = {watch.taf: watch for watch in self._watches}
            wanted = profiles.with_number(*STATE)
            self._watches = [known.get(taf) or StateWatch(taf) for taf in wanted]
        self._kick.set()

    async def run(self) -> None:
        """Stores readings and keeps the series, for ever."""
        while True:
            self._kick.clear()
            async with self._round:
                await self._store_readings()
                await self._series.work()
                passed, self._passed = self._passed, []
                for taf, reading in passed:
                    if taf.validity.holds(reading.captured_ms):
                        await self._record_state(taf, reading, THRESHOLD)
            await self._wait_for_due()

    def clock_jumped(self) -> None:
        """The clock was set, or set anew: stamps given before mean nothing."""
        self._unstored = []
        self._series.clock_jumped()
        self._kick.set()

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
            drafts = [
                self._recorder.event(taf, announcement, pending.readings[taf.meter_id])
                for taf in pending.tafs
            ]
            records, new = await self._worker.run(
                self._store.record_event, announcement, pending.announced_ms, drafts
            )
        except TimeoutError as error:
            missing = {taf.meter_id for taf in pending.tafs} - set(pending.readings)
            raise self._silent(*sorted(missing)) from error
        finally:
            self._events.finish(pending)
            del self._under_way[announcement.key]
        if new:
            self._kept += pending.readings.items()
            self._kick.set()
            for taf, record in zip(pending.tafs, records, strict=True):
                self._tell_written(taf, record, pending.readings[taf.meter_id], announcement)
        return records

    async def _record_state(
        self, taf: TafProfile, reading: OriginalReading, trigger: str
    ) -> Written:
        draft = self._recorder.state(taf, reading, trigger)
        record = await self._worker.run(self._store.record_state, draft)
        self._kept.append((taf.meter_id, reading))
        self._kick.set()
        detail = record_detail(record, reading) | {"taf": taf.number, "trigger": trigger}
        self._journal.event(SMGW, SMGW, "record", f"taf{taf.number}.record", detail=detail)
        self._written(taf)
        return record

    async def _store_readings(self) -> None:
        batch, self._unstored = self._unstored, []
        kept, self._kept = self._kept, []
        if batch:
            await self._worker.run(self._store.add_readings, batch)
        rows = [
            row
            for meter, reading in kept
            for row in originals(meter, reading, self._recorder.state_of(reading))
        ]
        if rows:
            await self._worker.run(self._archive.add_originals, rows)

    async def _wait_for_due(self) -> None:
        close_ms, left_s = self._series.next_close_ms(), None
        if close_ms is not None:
            left_s = max(0, close_ms + 1 - self._clock.now_ms()) / 1000 / self._clock.speed
        try:
            async with asyncio.timeout(left_s):
                await self._kick.wait()
        except TimeoutError:
            return  # a window has closed

    def _silent(self, *meters: str) -> MeterSilent:
        named = ", ".join(meters)
        return MeterSilent(f"meter {named} gave no reading within {self._timeout_s:g} s")

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
        tell_reading(self._journal, reading, told.uuid)
        detail = record_detail(record, reading)
        detail |= {"taf": 16, "event": told.event, "cls_id": told.cls_id, "source": told.source}
        self._journal.event(SMGW, SMGW, "record", "record.written", uuid=told.uuid, detail=detail)
        message = f"record {record.seq} of {taf.profile_id}: {told.event} {told.uuid}"
        self._journal.consumer(taf.final_consumer, "record.written", told.cls_id, message)
        self._written(taf)
