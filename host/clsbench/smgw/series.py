"""Due times at work: the original list of every meter, and the records and registers of tariffs.

One grid for each meter and period decides; what it decided becomes rows of the original list,
then records of the profiles on that grid (TAF7, TAF14, cyclic TAF9/10), then registers of the
periods that ended (TAF1, 2, 6). Each step may be done again after a kill: what is stored stays.
"""

from collections.abc import Callable
from dataclasses import dataclass

from clsbench.clock import iso
from clsbench.smgw.archive import Archive
from clsbench.smgw.clock import GatewayClock
from clsbench.smgw.core.evaluation import CYCLIC, SERIES, TafProfile
from clsbench.smgw.core.grid import DueTimes, Slot
from clsbench.smgw.core.legal_time import QUARTER_MS
from clsbench.smgw.core.originals import Original, slot_originals
from clsbench.smgw.core.parties import MeterProfile
from clsbench.smgw.core.periods import PERIODIC, Period, ended, evaluate
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.readings import OriginalReading
from clsbench.smgw.journal import FAILURE, SMGW, WARNING, Journal
from clsbench.smgw.recorder import Recorder
from clsbench.smgw.store import Store, Written
from clsbench.smgw.telling import record_detail, tell_reading
from clsbench.smgw.worker import StoreWorker

MAX_GAPS = 96 * 40  # due times recorded as missing after an outage; longer ones are only logged
TRIM_EVERY_MS = 6 * 3_600_000  # between two trims of the original list


@dataclass(slots=True)
class _Grid:
    """A meter's due times of one period, and the profiles that live on them."""

    meter: MeterProfile
    times: DueTimes
    series: tuple[TafProfile, ...]
    periodic: tuple[TafProfile, ...]


class SeriesDesk:
    """All grids of a gateway. written(profile) is called after each record."""

    def __init__(
        self,
        profiles: Profiles,
        recorder: Recorder,
        store: Store,
        archive: Archive,
        worker: StoreWorker,
        journal: Journal,
        clock: GatewayClock,
        written: Callable[[TafProfile], None],
    ):
        self._profiles = profiles
        self._recorder = recorder
        self._store = store
        self._archive = archive
        self._worker = worker
        self._journal = journal
        self._clock = clock
        self._written = written
        self._grids: list[_Grid] = []
        self._period_ends: dict[str, int] = {}  # by profile: up to where its periods are done
        self._trimmed_ms = clock.now_ms()
        self._waiting = False
        self._meanwhile: list[tuple[str, OriginalReading]] | None = None  # while grids are made

    def take(self, meter: str, reading: OriginalReading) -> None:
        """A reading of the meter with this profile id."""
        for grid in self._grids:
            if grid.meter.meter_id == meter:
                grid.times.take(reading)
        if self._meanwhile is not None:
            self._meanwhile.append((meter, reading))

    async def start(self) -> None:
        """Takes up every grid where it stopped, as the profiles are now.

        To be called before the first `take`, and whenever meters or evaluation profiles have
        changed, never beside `work`; every reading taken before this call is to be in the store.
        """
        self._waiting = not self._clock.is_set  # then `work` takes them up
        if self._waiting:
            return
        self._meanwhile = []
        self._grids = [
            await self._resume(meter, period_ms)
            for meter in self._profiles.meters
            for period_ms in sorted(self._periods_of(meter))
        ]
        readings, self._meanwhile = self._meanwhile, None
        for meter_id, reading in readings:
            self.take(meter_id, reading)

    def clock_jumped(self) -> None:
        """The clock was set, or set anew: what was taken before has no place on any grid."""
        for grid in self._grids:
            grid.times.forget()

    async def work(self) -> None:
        """Stores what can be decided by now; nothing while the clock is not set."""
        if not self._clock.is_set:
            return
        if self._waiting:
            await self.start()
        for grid in self._grids:
            self._skip(grid.series, grid.times, self._clock.now_ms())
            while slots := grid.times.decide(self._clock.now_ms()):
                await self._store_batch(grid, slots)

    def next_close_ms(self) -> int | None:
        """When the next window closes; None without any meter."""
        return min((g.times.next_due_ms + g.times.window_ms for g in self._grids), default=None)

    def _periods_of(self, meter: MeterProfile) -> set[int]:
        return {meter.period_s * 1000} | {
            taf.period_ms
            for taf in self._profiles.tafs
            if taf.meter_id == meter.meter_id and (_on_grid(taf) or taf.number in PERIODIC)
        }

    async def _resume(self, meter: MeterProfile, period_ms: int) -> _Grid:
        own = [
            taf
            for taf in self._profiles.tafs
            if taf.meter_id == meter.meter_id and taf.period_ms == period_ms
        ]
        grid_tafs = tuple(taf for taf in own if _on_grid(taf))
        periodic = tuple(taf for taf in own if taf.number in PERIODIC)
        last = [await self._worker.run(self._archive.last_due_ms, meter.meter_id, period_ms)]
        for taf in grid_tafs:
            last.append(await self._worker.run(self._store.last_due_ms, taf.profile_id))
        for taf in periodic:
            self._period_ends[taf.profile_id] = await self._worker.run(self._periods_done, taf)
        now = self._clock.now_ms()
        known = [due_ms for due_ms in last if due_ms is not None]
        times = DueTimes(min(known, default=now), period_ms, meter.substitutes)
        self._skip(grid_tafs, times, now)
        since = times.next_due_ms - (period_ms if meter.substitutes else times.window_ms)
        for reading in await self._worker.run(self._store.readings_since, meter.meter_id, since):
            times.take(reading)
        return _Grid(meter, times, grid_tafs, periodic)

    def _periods_done(self, taf: TafProfile) -> int:
        done = self._archive.last_end_ms(taf.profile_id)
        if done is None:
            first = self._archive.originals(taf.meter_id, limit=1)
            done = first[0].at_ms if first else self._clock.now_ms()
        return done

    def _skip(self, tafs: tuple[TafProfile, ...], times: DueTimes, now_ms: int) -> None:
        left_out = times.skip_to(now_ms - MAX_GAPS * times.period_ms)
        for taf in tafs if left_out else ():
            message = f"{left_out} due times up to {iso(times.next_due_ms)} not recorded"
            event = f"taf{taf.number}.outage"
            self._journal.calibration(event, taf.profile_id, message, WARNING, FAILURE)

    async def _store_batch(self, grid: _Grid, slots: list[Slot]) -> None:
        await self._worker.run(self._add_originals, grid, slots)
        for taf in grid.series:
            own = [slot for slot in slots if taf.validity.holds(slot.due_ms)]
            for slot in own:
                await self._record(taf, slot)
            self._tell_gaps(taf, [slot.due_ms for slot in own if slot.reading is None])
        for taf in grid.periodic:
            for period in ended(taf, self._period_ends[taf.profile_id], slots[-1].due_ms):
                await self._close_period(taf, period)
        now_ms = self._clock.now_ms()
        if now_ms - self._trimmed_ms >= TRIM_EVERY_MS:
            self._trimmed_ms = now_ms
            await self._worker.run(self._archive.trim, now_ms)

    def _add_originals(self, grid: _Grid, slots: list[Slot]) -> None:
        """In the store's thread. Gaps are rows on the meter's own grid only."""
        meter, own = grid.meter.meter_id, grid.times.period_ms == grid.meter.period_s * 1000
        rows: list[Original] = []
        last: list[Original] = []
        for slot in slots:
            if slot.reading is None and own and not last:
                last = self._archive.last_originals(meter)
            if slot.reading is not None or own:
                state = self._recorder.state_of(slot.reading)
                rows += slot_originals(meter, slot, state, last)
            if slot.reading is not None:
                last = rows[-len(slot.reading.values) :]
        self._archive.add_originals(rows)

    async def _record(self, taf: TafProfile, slot: Slot) -> None:
        draft = self._recorder.due(taf, slot)
        record = await self._worker.run(self._store.record_due, slot.due_ms, draft)
        if record is not None:
            self._tell_due(taf, slot, record)
            self._written(taf)

    async def _close_period(self, taf: TafProfile, period: Period) -> None:
        start_ms, end_ms = period
        rows = await self._worker.run(
            self._archive.originals, taf.meter_id, None, start_ms, end_ms + 1, QUARTER_MS
        )
        registers = evaluate(taf, rows, period)
        self._period_ends[taf.profile_id] = end_ms
        if not registers:
            return
        draft = self._recorder.period(taf, rows[-1].meter_id, registers)
        record = await self._worker.run(self._store.record_due, end_ms, draft)
        await self._worker.run(self._archive.put_derived, registers)
        if record is not None:
            event, message = f"taf{taf.number}.period", f"period to {iso(end_ms)} closed"
            detail = {"profile_id": taf.profile_id, "seq": record.seq, "due_ms": end_ms}
            self._journal.event(SMGW, SMGW, "record", event, detail=detail)
            self._journal.consumer(taf.final_consumer, event, taf.profile_id, message)
            self._written(taf)

    def _tell_due(self, taf: TafProfile, slot: Slot, record: Written) -> None:
        if slot.reading is None:
            detail = {"profile_id": taf.profile_id, "seq": record.seq, "due_ms": slot.due_ms}
            event = f"taf{taf.number}.gap"
            self._journal.event(SMGW, SMGW, "fault", event, ok=False, detail=detail)
            return
        tell_reading(self._journal, slot.reading, None)
        detail = record_detail(record, slot.reading) | {"taf": taf.number, "due_ms": slot.due_ms}
        self._journal.event(SMGW, SMGW, "record", f"taf{taf.number}.record", detail=detail)

    def _tell_gaps(self, taf: TafProfile, gaps: list[int]) -> None:
        """One entry of the consumer's log for a batch, however long an outage was."""
        if not gaps:
            return
        told = f"no reading at {iso(gaps[0])}"
        if len(gaps) > 1:
            told = f"no readings at {len(gaps)} due times, {iso(gaps[0])} to {iso(gaps[-1])}"
        event = f"taf{taf.number}.gap"
        self._journal.consumer(taf.final_consumer, event, taf.profile_id, told, WARNING, FAILURE)


def _on_grid(taf: TafProfile) -> bool:
    return taf.number in SERIES or CYCLIC in taf.modes
