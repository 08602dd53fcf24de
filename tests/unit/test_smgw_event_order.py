"""Numbers of a profile follow capture times, whatever interleaving events and readings take."""

import asyncio
from dataclasses import replace

import pytest
from smgw_core_kit import CLS, METER, TAF16, reading_at

from clsbench.smgw.archive import Archive
from clsbench.smgw.core.clock_state import TimeState
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.parties import MeterProfile
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.taf16 import Announcement, Events
from clsbench.smgw.event_desk import EventDesk, MeterSilent
from clsbench.smgw.recorder import Recorder
from clsbench.smgw.store import Store
from clsbench.smgw.tariffs import Tariffs
from clsbench.smgw.worker import StoreWorker

OTHER = "1EMH0000000002"
TWO = replace(TAF16, profile_id="taf16-two", meter_id=OTHER)


def event(number: int) -> Announcement:
    uuid = f"0190c0de-0000-7000-8000-{number:012d}"
    return Announcement(uuid, CLS, "begin", "", 1_000, number, "han")


class Silent:
    """A journal that keeps nothing."""

    def event(self, *_args, **_fields) -> None:
        return None

    def consumer(self, *_args) -> None:
        return None


class Clock:
    """Legal time as the test says; right."""

    now = 0
    is_set = True
    speed = 1

    def now_ms(self) -> int:
        return self.now

    def time_state(self) -> TimeState:
        return TimeState()

    def state_of_stamp(self, _stamp_ms: int) -> TimeState:
        return TimeState()


class Desk:
    """An EventDesk on a store of its own."""

    def __init__(self, folder, timeout_s: float = 60.0):
        self.store = Store(folder)
        self.worker = StoreWorker(asyncio.get_running_loop())
        self.clock = Clock()
        recorder = Recorder("ETST0010000001", lambda content: content, self.clock)
        parts = (recorder, self.store, self.worker, Silent(), self.clock)
        self.desk = EventDesk(*parts, timeout_s, lambda _pending: None)

    async def announced(self, number, tafs=(TAF16,), then=lambda _meter: None) -> asyncio.Task:
        """The event is under way when this returns; `then` is called in that very step."""
        under_way = asyncio.Event()

        def asked(meter: str) -> None:
            then(meter)
            under_way.set()

        task = asyncio.create_task(self.desk.announce(event(number), tafs, asked))
        await under_way.wait()
        return task

    def captured(self, taf=TAF16) -> list[int]:
        """Capture times by number."""
        found = self.store.database.execute(
            "SELECT captured_ms FROM gateway_records WHERE profile_id = ? ORDER BY seq",
            (taf.profile_id,),
        )
        return [row[0] for row in found]

    async def close(self) -> None:
        await self.desk.close()
        self.worker.close()
        self.store.close()


@pytest.fixture
async def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    await made.close()


async def test_an_event_completed_as_it_is_announced_comes_behind_one_that_waited(desk):
    first = await desk.announced(1)

    def two_telegrams_at_once(_meter: str) -> None:
        desk.desk.take(METER, reading_at(100))  # begun before the second announcement
        desk.desk.take(METER, reading_at(250))

    desk.clock.now = 200
    second = await desk.announced(2, then=two_telegrams_at_once)
    (one,), (two,) = await asyncio.gather(first, second)
    assert (one.seq, one.captured_ms) == (1, 100)
    assert (two.seq, two.captured_ms) == (2, 250)
    assert desk.captured() == [100, 250]


async def test_an_event_waits_for_an_earlier_one_whose_other_meter_is_late(desk):
    both = await desk.announced(1, (TAF16, TWO))
    desk.desk.take(METER, reading_at(100))
    desk.clock.now = 150
    one = await desk.announced(2)
    desk.desk.take(METER, reading_at(200))
    await desk.worker.run(lambda: None)
    assert desk.captured() == []
    desk.desk.take(OTHER, reading_at(300))
    await asyncio.gather(both, one)
    assert (desk.captured(), desk.captured(TWO)) == ([100, 200], [300])


async def test_an_event_whose_meter_stays_silent_holds_nobody_up_for_good(tmp_path):
    desk = Desk(tmp_path, timeout_s=0.05)
    both = await desk.announced(1, (TAF16, TWO))
    desk.desk.take(METER, reading_at(100))
    one = await desk.announced(2)
    desk.desk.take(METER, reading_at(200))
    with pytest.raises(MeterSilent, match=OTHER):
        await both
    assert [record.captured_ms for record in await one] == [200]
    await desk.close()


def test_of_two_events_the_one_announced_first_is_released_first():
    events = Events()
    both, _ = events.announce(event(1), (TAF16, TWO), 0)
    one, _ = events.announce(event(2), (TAF16,), 10)
    apart, _ = events.announce(event(3), (replace(TAF16, profile_id="taf16-else"),), 20)
    assert events.take(METER, reading_at(50)) == [apart]
    assert events.take(OTHER, reading_at(60)) == [both, one]
    assert events.take(OTHER, reading_at(70)) == []
    assert events.finish(both) == []


async def test_a_reading_on_demand_comes_behind_the_due_time_before_it(tmp_path):
    taf = TafProfile("taf10", 10, METER, "c1", "", modes=("on-demand", "cyclic"), period_s=60)
    profiles = Profiles("ETST0010000001", (MeterProfile(METER, period_s=60),), (taf,))
    desk = Desk(tmp_path)
    desk.clock.now = 10_000
    tariffs = Tariffs(
        profiles,
        Recorder("ETST0010000001", lambda content: content, desk.clock),
        desk.store,
        Archive(desk.store.database),
        desk.worker,
        Silent(),
        desk.clock,
        60.0,
        lambda _taf: None,
    )
    await tariffs.start()
    asked = asyncio.create_task(tariffs.fetch(taf))
    await asyncio.sleep(0)
    tariffs.take(METER, reading_at(59_900))
    again = asyncio.create_task(tariffs.fetch(taf))
    await asyncio.sleep(0)
    tariffs.take(METER, reading_at(60_200))  # decides the due time, for the reading before it
    running = asyncio.create_task(tariffs.run())
    assert [(await each).captured_ms for each in (asked, again)] == [59_900, 60_200]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert desk.captured(taf) == [59_900, 59_900, 60_200]
    await desk.close()
