"""TAF16 at work: announced events become signed and stored records, one for each profile.

Brings the pure engine (`core.taf16`) together with clock, store and journal. A record gets its
place in the store's queue, and by that its number, at the instant its reading comes in: nothing
is waited for in between, so numbers of a profile follow capture times.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from clsbench.smgw.clock import GatewayClock
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.readings import OriginalReading
from clsbench.smgw.core.taf16 import Announcement, Events, Key, Pending
from clsbench.smgw.journal import SMGW, Journal
from clsbench.smgw.recorder import Recorder
from clsbench.smgw.store import Store, Written
from clsbench.smgw.telling import record_detail, tell_reading
from clsbench.smgw.worker import StoreWorker

Stored = tuple[list[Written], bool]
Recorded = Callable[[Pending], None]


class MeterSilent(Exception):
    """No whole telegram came in time; the text says from which meter."""

    def __init__(self, meters: list[str], within_s: float):
        super().__init__(f"meter {', '.join(meters)} gave no reading within {within_s:g} s")


class _UnderWay(NamedTuple):
    """An event being recorded: `queued` holds what the store will answer, once its turn in the
    store's queue is taken, or MeterSilent; `task` gives the records."""

    queued: "asyncio.Future[asyncio.Future[Stored]]"
    task: asyncio.Task[list[Written]]


class EventDesk:
    """The events of a gateway. recorded(pending) is called once its records are stored.

    timeout_s: real seconds a meter has to give the reading of an event.
    """

    def __init__(
        self,
        recorder: Recorder,
        store: Store,
        worker: StoreWorker,
        journal: Journal,
        clock: GatewayClock,
        timeout_s: float,
        recorded: Recorded,
    ):
        self._recorder = recorder
        self._store = store
        self._worker = worker
        self._journal = journal
        self._clock = clock
        self._timeout_s = timeout_s
        self._recorded = recorded
        self._events = Events()
        self._under_way: dict[Key, _UnderWay] = {}

    async def announce(
        self,
        announcement: Announcement,
        tafs: tuple[TafProfile, ...],
        ask_meter: Callable[[str], None],
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
            queued = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._follow(pending, queued))
            self._under_way[announcement.key] = _UnderWay(queued, task)
            for taf in tafs:
                ask_meter(taf.meter_id)
        return await asyncio.shield(self._under_way[announcement.key].task)

    def take(self, meter: str, reading: OriginalReading) -> None:
        """A reading of the meter with this profile id. To be called in the order of capture."""
        self._queue(self._events.take(meter, reading))

    async def close(self) -> None:
        """Gives up the events under way; their sources will announce them again."""
        tasks = [under_way.task for under_way in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _queue(self, released: list[Pending]) -> None:
        """Gives each its turn in the store, before anything else can take one."""
        for pending in released:
            queued = self._under_way[pending.announcement.key].queued
            if queued.done():
                continue  # given up in this very instant
            drafts = [
                self._recorder.event(taf, pending.announcement, pending.readings[taf.meter_id])
                for taf in pending.tafs
            ]
            stored = self._worker.begin(
                self._store.record_event, pending.announcement, pending.announced_ms, drafts
            )
            queued.set_result(stored)

    async def _follow(
        self, pending: Pending, queued: "asyncio.Future[asyncio.Future[Stored]]"
    ) -> list[Written]:
        loop = asyncio.get_running_loop()
        patience = loop.call_later(self._timeout_s, self._give_up, pending, queued)
        try:
            records, new = await (await queued)
        finally:
            patience.cancel()
            del self._under_way[pending.announcement.key]
            self._queue(self._events.finish(pending))
        if new:
            self._recorded(pending)
            for taf, record in zip(pending.tafs, records, strict=True):
                reading = pending.readings[taf.meter_id]
                self._tell_written(taf, record, reading, pending.announcement)
        return records

    def _give_up(self, pending: Pending, queued: asyncio.Future) -> None:
        """A complete one that waits behind another is recorded when that is given up."""
        missing = {taf.meter_id for taf in pending.tafs} - set(pending.readings)
        if missing and not queued.done():
            queued.set_exception(MeterSilent(sorted(missing), self._timeout_s))

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
