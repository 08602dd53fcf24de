"""An event announced on the HAN becomes one signed record of a reading begun after it."""

import asyncio
import json
import time

import pytest
from smgw_bench import IMPORT, METER, UUID, announce, running

from clsbench.pki.layout import DEFAULT_SMGW
from clsbench.smgw.core import cms
from clsbench.smgw.core.records import content_bytes


@pytest.fixture
async def bench(pki, tmp_path):
    async with running(pki, tmp_path) as running_bench:
        yield running_bench


async def test_the_box_is_given_the_gateways_time(bench):
    before = time.time_ns() // 1_000_000
    async with bench.box() as box, box.get(bench.url("rts/time")) as answer:
        said = await answer.json()
    assert answer.status == 200
    assert before <= said["utc_ms"] <= time.time_ns() // 1_000_000 + 1
    assert said["state"] == "synchronised" and said["bound_ms"] == 0


async def test_an_event_becomes_a_signed_record_of_a_reading_begun_after_it(bench):
    before = time.time_ns() // 1_000_000
    async with bench.box() as box:
        status, said = await announce(box, bench)
    assert status == 200 and said["seq"] == 1
    assert said["records"] == [{"profile_id": "taf16-1", "seq": 1}]
    announced = bench.events("event.announced")[0]["detail"]["announced_ms"]
    assert before <= announced <= said["captured_ms"]
    (outgoing,) = await bench.undelivered()
    signed = cms.verify(outgoing.cms, bench.pki.wan_trust.read_bytes(), "SMGW")
    record = json.loads(signed.content)
    assert signed.signer.name == DEFAULT_SMGW
    assert signed.content == content_bytes(record)
    assert record["uuid"] == UUID and record["event"] == "begin" and record["source"] == "han"
    assert record["text"] == "Ladevorgang 1" and record["event_ms"] == 1_780_000_000_000
    assert record["captured_ms"] == said["captured_ms"] and record["meter_id"] == METER
    assert record["status"].startswith("A0000000") and record["time_state"] == "synchronised"


async def test_the_reading_of_a_record_is_in_the_event_log_with_its_telegram(bench):
    async with bench.box() as box:
        await announce(box, bench)
    (reading,) = bench.events("lmn.reading")
    (written,) = bench.events("record.written")
    assert reading["uuid"] == written["uuid"] == UUID
    assert written["detail"]["values"] == reading["detail"]["values"]
    (value,) = written["detail"]["values"]
    assert value["obis"] == IMPORT and (value["scaler"], value["unit"]) == (-1, 30)
    assert value["raw"].to_bytes(2, "big") in bytes.fromhex(reading["raw"])
    assert reading["raw"].startswith("1b1b1b1b01010101")


async def test_the_telegram_under_way_at_the_announcement_is_not_the_events_reading(pki, tmp_path):
    async with running(pki, tmp_path, pushing=False) as bench, bench.box() as box:
        first, second = bench.meter.telegram(1111), bench.meter.telegram(2222)
        bench.meter.write(first[:20])
        await asyncio.sleep(0.1)
        asked = asyncio.create_task(announce(box, bench))
        await bench.until("event.announced")
        bench.meter.write(first[20:])
        await asyncio.sleep(0.1)
        assert not asked.done()
        bench.meter.write(second)
        status, _ = await asked
        assert status == 200
        assert bench.events("record.written")[0]["detail"]["values"][0]["raw"] == 2222


async def test_an_event_told_again_gives_the_same_record(bench):
    async with bench.box() as box:
        first = await announce(box, bench)
        again = await announce(box, bench)
        end = await announce(box, bench, event="end")
    assert first == again and first[1]["seq"] == 1 and end[1]["seq"] == 2
    assert len(bench.events("record.written")) == 2


async def test_an_event_told_many_times_at_once_gives_one_record(bench):
    async with bench.box() as box:
        answers = await asyncio.gather(*(announce(box, bench) for _ in range(8)))
    assert all(answer == answers[0] for answer in answers) and answers[0][1]["seq"] == 1
    assert len(bench.events("record.written")) == 1


async def test_an_event_told_again_with_other_content_is_a_conflict(bench):
    async with bench.box() as box:
        await announce(box, bench)
        status, said = await announce(box, bench, text="another")
    assert status == 409 and UUID in said["error"]
    (refused,) = bench.events("han.refused")
    assert (refused["kind"], refused["ok"], refused["uuid"]) == ("fault", False, UUID)


async def test_the_record_is_the_same_after_a_restart(pki, tmp_path):
    async with running(pki, tmp_path) as bench, bench.box() as box:
        first = await announce(box, bench)
    async with running(pki, tmp_path) as bench, bench.box() as box:
        assert await announce(box, bench) == first
        assert (await announce(box, bench, event="end"))[1]["seq"] == 2


async def test_a_silent_meter_leaves_no_record_and_a_repeat_succeeds(pki, tmp_path):
    timing = {"event_s": 3}
    async with running(pki, tmp_path, pushing=False, timing=timing) as bench, bench.box() as box:
        status, said = await announce(box, bench)
        assert status == 503 and METER in said["error"]
        assert bench.events("record.written") == []
        repeat = asyncio.create_task(announce(box, bench))
        await bench.until("event.announced", 2)
        bench.meter.push(4711)
        assert (await repeat)[1]["seq"] == 1


async def test_a_record_made_without_valid_time_is_flagged(pki, tmp_path):
    smgw = {"time_state": "unset"}
    async with running(pki, tmp_path, smgw=smgw) as bench, bench.box() as box:
        assert (await announce(box, bench))[0] == 200
        (outgoing,) = await bench.undelivered()
    record = json.loads(cms.verify(outgoing.cms, pki.wan_trust.read_bytes()).content)
    assert record["status"].startswith("A0400000") and record["time_state"] == "unset"
