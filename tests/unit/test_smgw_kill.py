"""A gateway killed at any instant: every due time is recorded once, every period closed once."""

import json
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from smgw_core_kit import METER, QUARTER
from smgw_month_kit import IMPORT

from clsbench.smgw.archive import Archive
from clsbench.smgw.core.legal_time import next_midnight_ms
from clsbench.smgw.store import Store

KILLS = 5
KILLS_OF_A_SERVERS_CLIENT = 3
SCRIPT = """
import asyncio, sys
from datetime import date
from pathlib import Path
from clsbench.clock import BenchClock
from clsbench.eventlog import EventLog
from clsbench.smgw.archive import Archive
from clsbench.smgw.core.clock_state import FixedTime
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.legal_time import midnight_ms
from clsbench.smgw.core.parties import EmtProfile, Endpoint, MeterProfile
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.readings import OriginalReading, Value
from clsbench.smgw.journal import Journal
from clsbench.smgw.recorder import Recorder
from clsbench.smgw.series import SeriesDesk
from clsbench.smgw.store import Store
from clsbench.smgw.worker import StoreWorker

METER, STEP_MS = "1EMH0098765432", 450_000


class Clock(BenchClock):
    is_set = True
    at_ms = 0

    def now_ms(self):
        return self.at_ms


async def main(folder):
    store = Store(folder if "://" in folder else Path(folder))
    archive, clock = Archive(store.database), Clock()
    worker = StoreWorker(asyncio.get_running_loop())
    journal = Journal(EventLog(None, clock, "smgw"), store, worker, clock)
    tafs = tuple(TafProfile(f"taf{n}", n, METER, "c", "e") for n in (6, 7))
    emt = EmtProfile("e", Endpoint("h", 1), Endpoint("h", 2))
    profiles = Profiles("ETST0010000001", (MeterProfile(METER),), tafs, (), (emt,))
    recorder = Recorder("ETST0010000001", lambda content: b"cms", FixedTime())
    start_ms = midnight_ms(date(2026, 3, 28))
    last = store.readings_since(METER, 0)
    at_ms = last[-1].captured_ms if last else start_ms - STEP_MS
    clock.at_ms = at_ms
    desk = SeriesDesk(
        profiles, recorder, store, archive, worker, journal, clock, lambda taf: None
    )
    await desk.start()
    print("open", flush=True)
    while True:
        at_ms += STEP_MS
        values = (Value("1-0:1.8.0*255", at_ms // STEP_MS, -1, 30),)
        reading = OriginalReading(METER, at_ms, values)
        await worker.run(store.add_readings, [(METER, reading)])
        clock.at_ms = at_ms
        desk.take(METER, reading)
        await desk.work()
        print("done", flush=True)


asyncio.run(main(sys.argv[1]))
"""


def run_and_kill(folder, steps, after_s):
    """Kills it so long after it did so many steps of half a quarter hour."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)], stdout=subprocess.PIPE, text=True
    ) as gateway:
        assert gateway.stdout is not None
        assert gateway.stdout.readline() == "open\n"
        for _ in range(steps):
            assert gateway.stdout.readline() == "done\n"
        time.sleep(after_s)
        gateway.send_signal(signal.SIGKILL)


def test_a_killed_gateway_goes_on_without_gap_and_without_repeat(state):
    instants = random.Random(6)
    for _ in range(KILLS if isinstance(state, Path) else KILLS_OF_A_SERVERS_CLIENT):
        run_and_kill(state, instants.randrange(2, 20), instants.uniform(0.0, 0.3))
    store = Store(state)
    archive = Archive(store.database)
    found = {}
    for profile in ("taf6", "taf7"):
        rows = store.database.execute(
            "SELECT content FROM gateway_records WHERE profile_id = ? ORDER BY seq", (profile,)
        )
        found[profile] = [json.loads(content) for (content,) in rows]
        assert [r["seq"] for r in found[profile]] == list(range(1, len(found[profile]) + 1))
    quarters = [record["due_ms"] for record in found["taf7"]]
    assert len(quarters) > KILLS_OF_A_SERVERS_CLIENT and quarters == list(
        range(quarters[0], quarters[-1] + 1, QUARTER)
    )
    assert all(
        record["values"][0]["raw"] == record["due_ms"] // 450_000 for record in found["taf7"]
    )
    listed = archive.originals(METER, IMPORT)
    assert [row.due_ms for row in listed][: len(quarters)] == quarters
    assert all(row.raw == (row.due_ms or 0) // 450_000 for row in listed)
    ends = [record["due_ms"] for record in found["taf6"]]
    assert ends == sorted(set(ends))
    assert all(next_midnight_ms(one) == other for one, other in pairwise(ends))
    closed = [row.end_ms for row in archive.derived("taf6")]
    assert closed == ends or closed == ends[:-1]  # killed between record and register
    assert ends[0] == quarters[0]  # the day that ended with the first due time
    store.close()
