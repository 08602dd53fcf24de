"""Profiles change while meters are read: no reading lost, no due time twice, lines come and go."""

import asyncio
import json

import pytest
from smgw_bench import IMPORT, METER, Meter, running

from clsbench.clock import BenchClock
from clsbench.errors import BadInput
from clsbench.smgw.administered import read_order

OTHER = "1EMH0000000042"
GWA = "gwa-test"
EMT = "flexmarkt"


async def order(bench, put=None, remove=()):
    made = read_order(put or {}, [list(key) for key in remove])
    return await bench.gateway.administration.order(made, GWA)


async def due_times(bench, profile_id):
    """due_ms of the records of a profile, in order of their numbers."""
    rows = await bench.gateway.worker.run(
        bench.gateway.store.database.execute,
        "SELECT content FROM gateway_records WHERE profile_id = ? ORDER BY seq",
        (profile_id,),
    )
    return [json.loads(content)["due_ms"] for (content,) in rows.fetchall()]


async def test_a_meter_is_read_from_when_it_is_put_and_left_alone_when_it_is_removed(
    pki, tmp_path
):
    second = Meter(OTHER)
    async with running(pki, tmp_path) as bench:
        pusher = asyncio.create_task(second.run(5000))
        gateway = bench.gateway
        section = {"port": second.port, "meter_id": OTHER, "obis": [IMPORT]}
        assert f"meter profile '{OTHER}' version 1" in await order(bench, {"lmn": [section]})
        await bench.until("lmn.open", 2)
        for _ in range(1000):
            if OTHER in gateway._lines.last():
                break
            await asyncio.sleep(0.02)
        assert set(gateway._lines.last()) == {METER, OTHER}
        taf = {"id": "t", "number": 7, "meter_id": OTHER, "final_consumer": "c"}
        taf["obis"] = ["1-0:2.8.0"]
        with pytest.raises(BadInput, match="obis 1-0:2.8.0.255 is not read from meter"):
            await order(bench, {"taf": [taf]})
        await order(bench, remove=[("lmn", OTHER)])
        assert set(gateway._lines.last()) == {METER}
        with pytest.raises(BadInput, match="no such profile"):
            await order(bench, remove=[("lmn", OTHER)])
        pusher.cancel()
    second.close()


async def test_a_series_goes_on_through_changes_and_a_new_one_begins_with_its_profile(
    pki, tmp_path
):
    clock = BenchClock(speed=400)
    minutes = {"id": "t14", "number": 14, "meter_id": METER, "final_consumer": "c", "emt": EMT}
    async with running(pki, tmp_path, smgw={"clock": clock.spec()}) as bench:
        await order(bench, {"taf": [minutes]})
        begun_ms = clock.now_ms()
        for number in range(6):
            await asyncio.sleep(0.25)
            await order(bench, {"taf": [{**minutes, "id": f"t7-{number}", "number": 7}]})
        for _ in range(600):
            if len(found := await due_times(bench, "t14")) >= 8:
                break
            await asyncio.sleep(0.1)
        late = await due_times(bench, "t7-5")
    assert found == list(range(found[0], found[-1] + 1, 60_000)) and len(found) >= 8
    assert found[0] > begun_ms - 60_000
    assert all(due_ms > begun_ms for due_ms in late)


async def test_a_threshold_put_while_running_watches_from_then_on(pki, tmp_path):
    taf = {"id": "t10", "number": 10, "meter_id": METER, "final_consumer": "c", "emt": EMT}
    async with running(pki, tmp_path, pushing=False) as bench:
        bench.meter.push(500)
        await bench.until("lmn.open")
        limit = {"obis": IMPORT, "limit": 1000, "scaler": -1}
        await order(bench, {"taf": [taf | {"modes": ["threshold"], "threshold": [limit]}]})
        for raw in (900, 1001):
            bench.meter.push(raw)
            await asyncio.sleep(0.1)
        await bench.until("taf10.record")
        await order(bench, remove=[("taf", "t10")])
        for raw in (900, 1001):
            bench.meter.push(raw)
            await asyncio.sleep(0.1)
        assert len(bench.events("taf10.record")) == 1
        told = [entry.event for entry in await bench.log("consumer/c")]
        assert told == ["profile.changed"] * 2  # put, and removed: the consumer may know
