"""The gateway over a month's end: original list, registers of periods, minutes, thresholds."""

import asyncio
import json
from datetime import date

import pytest
from smgw_bench import IMPORT, METER, Meter, running

from clsbench.clock import BenchClock
from clsbench.smgw.archive import Archive
from clsbench.smgw.core.clock_state import TimeState
from clsbench.smgw.core.legal_time import QUARTER_MS, month_ms
from clsbench.smgw.core.originals import originals
from clsbench.smgw.core.readings import OriginalReading, Value
from clsbench.smgw.store import Store

START, END = month_ms(2026, 5)
TARIFF = {
    "stage": [{"number": 1}, {"number": 2}],
    "day": [{"id": 1, "switches": ["00:00 2", "06:00 1", "22:00 2"]}],
    "week": [1] * 7,
}
TAFS = (
    {"id": "taf1-1", "number": 1},
    {"id": "taf2-1", "number": 2, "time_of_use": TARIFF},
    {"id": "taf6-1", "number": 6},
    {"id": "taf14-1", "number": 14},
    {
        "id": "taf10-1",
        "number": 10,
        "modes": ["threshold", "on-demand"],
        "threshold": [{"obis": IMPORT, "limit": 100_020, "scaler": -1}],
    },
)


@pytest.fixture
def month_so_far(tmp_path):
    """A state folder with the original list of all of May but its last quarter hour."""
    store = Store(tmp_path / "smgw")
    archive = Archive(store.database)
    rows = []
    for place, due_ms in enumerate(range(START, END, QUARTER_MS)):
        reading = OriginalReading(METER, due_ms, (Value(IMPORT, 1000 + place, -1, 30),))
        rows += originals(METER, reading, TimeState(), due_ms)
    archive.add_originals(rows)
    store.close()
    return date(2026, 5, 1)


async def records(bench, profile_id):
    """Contents of the records of a profile."""
    outgoing = await bench.gateway.worker.run(
        bench.gateway.store.database.execute,
        "SELECT content FROM gateway_records WHERE profile_id = ? ORDER BY seq",
        (profile_id,),
    )
    return [json.loads(content) for (content,) in outgoing.fetchall()]


async def test_the_end_of_a_month_closes_its_periods_once(pki, tmp_path, month_so_far):
    clock = BenchClock(speed=100, utc_ms=END - 120_000)
    meter = Meter()
    smgw = {"clock": clock.spec()}
    async with running(
        pki, tmp_path, meter=meter, pushing=False, smgw=smgw, more_tafs=TAFS
    ) as bench:
        pusher = asyncio.create_task(meter.run(first_raw=100_000))
        for name in ("taf1.period", "taf2.period", "taf6.period", "taf10.record"):
            await bench.until(name)
        await bench.until("taf14.record", 2)
        on_demand = await bench.gateway.tariffs.fetch(bench.gateway.profiles.taf("taf10-1"))
        pusher.cancel()
        (taf1,) = await records(bench, "taf1-1")
        (taf2,) = await records(bench, "taf2-1")
        state = await records(bench, "taf10-1")
        minutes = [r for r in await records(bench, "taf14-1") if r["values"]]
        originals_ = await bench.gateway.worker.run(
            bench.gateway.archive.originals, METER, IMPORT, END, END + 1
        )
    last = originals_[0].raw
    assert (taf1["type"], taf1["start_ms"], taf1["due_ms"]) == ("taf1", START, END)
    assert [v["raw"] for v in taf1["values"]] == [last - 1000] and taf1["missing"] == []
    total, *stages = [v["raw"] for v in taf2["values"]]
    assert total == last - 1000 == sum(stages) and stages[-1] == 0
    assert stages[0] == 31 * 64
    assert [r["source"] for r in state] == ["threshold", "on-demand"]
    assert state[1]["seq"] == on_demand.seq == 2
    assert all(r["due_ms"] % 60_000 == 0 for r in minutes)
    later = BenchClock(speed=1, utc_ms=END + 60_000)
    async with running(
        pki, tmp_path, meter=meter, pushing=False, smgw={"clock": later.spec()}, more_tafs=TAFS
    ) as bench:
        await asyncio.sleep(0.2)
        assert len(await records(bench, "taf1-1")) == len(await records(bench, "taf2-1")) == 1
        kept = await bench.gateway.worker.run(bench.gateway.archive.derived, "taf2-1")
        assert [register.raw for register in kept if register.end_ms == END] == [total, *stages]
    meter.close()
