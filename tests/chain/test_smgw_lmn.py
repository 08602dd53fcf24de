"""The gateway's meter line: noise, a strange meter, a learnt one, quarter hours and their gaps."""

import asyncio

from smgw_bench import METER, Meter, announce, running

from clsbench.clock import BenchClock


async def test_noise_on_the_line_is_counted_and_costs_no_good_telegram(pki, tmp_path):
    async with running(pki, tmp_path, pushing=False) as bench, bench.box() as box:
        damaged = bytearray(bench.meter.telegram(5))
        damaged[60] ^= 1
        bench.meter.write(b"noise" + bytes(damaged))
        asked = asyncio.create_task(announce(box, bench))
        await bench.until("event.announced")
        bench.meter.push(77)
        assert (await asked)[0] == 200
        assert bench.events("lmn.discarded")[0]["ok"] is False
        assert [entry.event for entry in (await bench.log("calibration"))][-1] == "lmn.discarded"
        assert bench.events("record.written")[0]["detail"]["values"][0]["raw"] == 77


async def test_another_meter_on_the_line_is_not_read(pki, tmp_path):
    meter, timing = Meter("1EMH0000000007"), {"event_s": 1}
    async with running(pki, tmp_path, meter=meter, timing=timing) as bench, bench.box() as box:
        status, _ = await announce(box, bench)
        assert status == 503
        await bench.until("lmn.discarded")
        reasons = bench.events("lmn.discarded")[0]["detail"]["discarded"]
        assert any("1EMH0000000007" in reason for reason in reasons)
    meter.close()


async def test_the_first_meter_is_learnt_where_the_profile_leaves_it_open(pki, tmp_path):
    anyone = {"meter_id": "*"}
    async with running(pki, tmp_path, lmn=anyone, taf=anyone) as bench, bench.box() as box:
        assert (await announce(box, bench))[0] == 200
        assert bench.events("lmn.learnt")[0]["detail"]["meter_id"] == METER
        assert bench.events("record.written")[0]["detail"]["meter_id"] == METER


async def test_a_quarter_hour_gives_a_taf7_record_and_a_silent_one_a_gap(pki, tmp_path):
    quarter_ms = 900_000
    start_ms = 1_780_000_200_000 // quarter_ms * quarter_ms + 800_000  # 100 s before a due time
    clock = BenchClock(speed=100, utc_ms=start_ms)
    smgw = {"clock": clock.spec()}
    meter = Meter()
    async with running(pki, tmp_path, meter=meter, smgw=smgw, pushing=False) as bench:
        pusher = asyncio.create_task(meter.run())
        await bench.until("taf7.record")
        pusher.cancel()
        (taken,) = bench.events("taf7.record")
        due_ms, seq = taken["detail"]["due_ms"], taken["detail"]["seq"]
        # the first, but for those that a start of more than a second has missed
        assert due_ms == start_ms + 100_000 + len(bench.events("taf7.gap")) * quarter_ms
        assert seq == 1 + len(bench.events("taf7.gap"))
        assert abs(taken["detail"]["captured_ms"] - due_ms) <= 9000
    meter.close()
    before = seq - 1
    later = BenchClock(speed=1, utc_ms=due_ms + 2 * quarter_ms + 9001)
    async with running(pki, tmp_path, smgw={"clock": later.spec()}, pushing=False) as bench:
        await bench.until("taf7.gap", before + 2)
        gaps = [event["detail"] for event in bench.events("taf7.gap")[before:]]
        assert [(gap["seq"], gap["due_ms"]) for gap in gaps] == [
            (seq + 1, due_ms + quarter_ms),
            (seq + 2, due_ms + 2 * quarter_ms),
        ]
