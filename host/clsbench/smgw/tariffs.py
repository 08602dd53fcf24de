"""The tariff use cases at work: readings in, signed and stored records out.

Brings the readings to those who make records of them: events are `event_desk`'s, due times and
periods `series`', readings on demand and thresholds (TAF9, TAF10) are made here. Every original
reading passes through `Tariffs.take`. Records that are no event's are numbered in rounds, due
times first, so that numbers of a profile follow capture times there, too.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from clsbench.smgw.archive import Archive
from clsbench.smgw.clock import GatewayClock
from clsbench.smgw.core.evaluation import ON_DEMAND, STATE, THRESHOLD, TafProfile
from clsbench.smgw.core.originals import originals
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.readings import OriginalReading
from clsbench.smgw.core.state_watch import StateWatch
from clsbench.smgw.core.taf16 import Announcement, Pending
from clsbench.smgw.event_desk import EventDesk, MeterSilent
from clsbench.smgw.journal import SMGW, Journal
from clsbench.smgw.recorder import Recorder
from clsbench.smgw.series import SeriesDesk
from clsbench.smgw.store import Store, Written
from clsbench.smgw.telling import record_detail
from clsbench.smgw.worker import StoreWorker

__all__ = ["MeterSilent", "Tariffs"]


@dataclass(eq=False, slots=True)
class _Asked:
    """A reading on demand: `taken` when the meter has given it, `written` when it is a record."""

    taf: TafProfile
    taken: asyncio.Future[None]
    written: asyncio.Future[Written]


@dataclass(frozen=True, slots=True)
class _Passed:
    """A reading that becomes a record in the next round; asked: who waits for it, if anybody."""

    taf: TafProfile
    reading: OriginalReading
    asked: _Asked | None = None


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
        self._desk = EventDesk(
            recorder, store, worker, journal, clock, event_timeout_s, self._event_recorded
        )
        self._series = SeriesDesk(
            profiles, recorder, store, archive, worker, journal, clock, written
        )
        self._profiles = profiles
        self._watches = [StateWatch(taf) for taf in profiles.with_number(*STATE)]
        self._round = asyncio.Lock()  # one round, or a change of profiles, at a time
        self._passed: list[_Passed] = []
        self._asked: list[_Asked] = []
        self._unstored: list[tuple[str, OriginalReading]] = []
        self._kept: list[tuple[str, OriginalReading]] = []  # for the original list
        self._wanted: set[str] = set()  # meters whose next reading is kept there
        self._kick = asyncio.Event()
        self.ask_meter: Callable[[str], None] = lambda meter: None

    def take(self, meter: str, reading: OriginalReading) -> None:
        """A reading of the meter with this profile id: offered to every profile, and stored."""
        if self._clock.is_set:  # a stamp of an unset clock would be taken for a due time's later
            self._unstored.append((meter, reading))
        self._desk.take(meter, reading)
        self._series.take(meter, reading)
        for watch in self._watches:
            if watch.taf.meter_id == meter and watch.take(reading):
                self._passed.append(_Passed(watch.taf, reading))
        for asked in self._asked:
            if asked.taf.meter_id == meter and not asked.taken.done():
                asked.taken.set_result(None)
                self._passed.append(_Passed(asked.taf, reading, asked))
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
        return await self._desk.announce(announcement, tafs, self.ask_meter)

    async def fetch(self, taf: TafProfile) -> Written:
        """The record of the meter's next telegram (TAF9, TAF10 on demand). Raises MeterSilent."""
        loop = asyncio.get_running_loop()
        asked = _Asked(taf, loop.create_future(), loop.create_future())
        self._asked.append(asked)
        self.ask_meter(taf.meter_id)
        try:
            async with asyncio.timeout(self._timeout_s):
                await asked.taken
        except TimeoutError as error:
            raise MeterSilent([taf.meter_id], self._timeout_s) from error
        finally:
            self._asked.remove(asked)
        return await asked.written

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
                passed, self._passed = self._passed, []
                await self._series.work()  # decides all due times up to what has passed
                for each in passed:
                    await self._record_state(each)
            await self._wait_for_due()

    def clock_jumped(self) -> None:
        """The clock was set, or set anew: stamps given before mean nothing."""
        self._unstored = []
        self._series.clock_jumped()
        self._kick.set()

    async def close(self) -> None:
        """Gives up what is under way; its sources will announce and ask again."""
        await self._desk.close()
        for asked in (*self._asked, *(each.asked for each in self._passed if each.asked)):
            asked.taken.cancel()
            asked.written.cancel()
        await self._store_readings()

    def _event_recorded(self, pending: Pending) -> None:
        self._kept += pending.readings.items()
        self._kick.set()
        for taf in pending.tafs:
            self._written(taf)

    async def _record_state(self, passed: _Passed) -> None:
        taf, reading, asked = passed.taf, passed.reading, passed.asked
        if asked is None and not taf.validity.holds(reading.captured_ms):
            return
        trigger = THRESHOLD if asked is None else ON_DEMAND
        draft = self._recorder.state(taf, reading, trigger)
        record = await self._worker.run(self._store.record_state, draft)
        self._kept.append((taf.meter_id, reading))
        self._kick.set()
        detail = record_detail(record, reading) | {"taf": taf.number, "trigger": trigger}
        self._journal.event(SMGW, SMGW, "record", f"taf{taf.number}.record", detail=detail)
        self._written(taf)
        if asked is not None and not asked.written.done():
            asked.written.set_result(record)

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
