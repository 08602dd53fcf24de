"""The gateway's HAN interface over real TLS, with a meter on a pty."""

import asyncio
import json
import ssl
import time

import aiohttp
import cbor2
import pytest
from smgw_bench import (
    IMPORT,
    METER,
    OTHER_CLS,
    STRANGE_CLS,
    UUID,
    Meter,
    event_body,
    running,
)

from clsbench.clock import BenchClock
from clsbench.net.listener import open_tls_streams
from clsbench.net.tls import han_client
from clsbench.pki.layout import DEFAULT_CLS, DEFAULT_EMT, DEFAULT_SMGW
from clsbench.smgw.core import cms
from clsbench.smgw.core.commands import Command
from clsbench.smgw.core.records import content_bytes


@pytest.fixture
async def bench(pki, tmp_path):
    async with running(pki, tmp_path) as running_bench:
        yield running_bench


async def announce(box, bench, **changed):
    async with box.post(bench.url("fas/event"), json=event_body(**changed)) as answer:
        return answer.status, await answer.json()


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
    async with running(pki, tmp_path, pushing=False) as bench, bench.box() as box:
        status, said = await announce(box, bench)
        assert status == 503 and METER in said["error"]
        assert bench.events("record.written") == []
        repeat = asyncio.create_task(announce(box, bench))
        await bench.until("event.announced", 2)
        bench.meter.push(4711)
        assert (await repeat)[1]["seq"] == 1


async def test_a_box_may_not_announce_for_another(bench):
    async with bench.box() as box:
        status, said = await announce(box, bench, cls_id=OTHER_CLS)
    assert status == 403 and OTHER_CLS in said["error"]


async def test_a_box_in_no_taf16_profile_may_not_announce(bench):
    async with bench.box(OTHER_CLS) as box:
        status, said = await announce(box, bench, cls_id=OTHER_CLS)
    assert status == 403 and "TAF16" in said["error"]


async def test_a_certificate_in_no_profile_is_refused_before_http(bench):
    async with bench.box(STRANGE_CLS) as box:
        with pytest.raises(aiohttp.ClientError):
            await box.get(bench.url("rts/time"))
    refused = bench.events("tls.refused")[0]
    assert STRANGE_CLS in refused["detail"]["reason"] and refused["ok"] is False
    assert bench.events("tls.accepted") == []


async def test_a_second_certificate_of_the_same_name_is_refused(bench, tmp_path):
    forged = bench.pki.issue_han_to(tmp_path / "forged", f"{DEFAULT_CLS.lower()}.cls")
    async with bench.box(identity=forged) as box:
        with pytest.raises(aiohttp.ClientError):
            await box.get(bench.url("rts/time"))
    assert "no CLS profile pins" in bench.events("tls.refused")[0]["detail"]["reason"]


async def test_without_a_certificate_nobody_gets_in(bench):
    context = ssl.create_default_context(cafile=str(bench.pki.han_trust))
    context.check_hostname = False
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as nobody:
        with pytest.raises(aiohttp.ClientError):
            await nobody.get(bench.url("rts/time"))
    assert bench.events("tls.refused")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "not parseable"),
        (b"\xff", "not parseable"),
        (b"[" * 30_000, "not parseable"),
        (b"[]", "object"),
        (json.dumps(event_body(event="explode")).encode(), "event"),
        (json.dumps({k: v for k, v in event_body().items() if k != "uuid"}).encode(), "uuid"),
        (json.dumps(event_body(event_ms=float("nan"))).encode(), "not parseable"),
        (json.dumps(event_body(text="\ud800")).encode(), "text"),
    ],
)
async def test_a_body_that_cannot_be_read_is_answered_422(bench, body, named):
    async with bench.box() as box, box.post(bench.url("fas/event"), data=body) as answer:
        said = await answer.json()
    assert answer.status == 422 and named in said["error"]
    assert bench.events("han.refused")[0]["detail"]["status"] == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "rts/time", 405),
        ("DELETE", "fas/event", 405),
        ("GET", "rts/unheard-of", 404),
        ("GET", "", 404),
        ("POST", "rts/command/not-an-id", 404),
    ],
)
async def test_a_wrong_path_or_method_has_its_status(bench, method, path, status):
    async with bench.box() as box, box.request(method, bench.url(path)) as answer:
        assert answer.status == status and (await answer.json())["error"]


async def test_a_body_too_large_is_answered_413(bench):
    too_large = bytes(70_000)
    async with bench.box() as box, box.post(bench.url("fas/event"), data=too_large) as answer:
        assert answer.status == 413


async def raw_exchange(bench, data: bytes) -> bytes:
    """What the gateway answers to these bytes before it closes the connection."""
    context = han_client(bench.pki.cls(DEFAULT_CLS), bench.pki.han_trust)
    reader, writer = await open_tls_streams("127.0.0.1", bench.port, context, "SMGW", DEFAULT_SMGW)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"complete nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET /smgw/cls/v1/rts/time HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"\x16\x03\x01" + bytes(range(200)) + b"\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"431"),
    ],
)
async def test_bytes_that_are_no_http_are_answered_and_told(bench, data, status):
    answer = await raw_exchange(bench, data)
    assert answer.startswith((b"HTTP/1.1 " + status, b"HTTP/1.0 " + status))
    assert b'"error"' in answer
    (refused,) = bench.events("han.refused")
    assert str(refused["detail"]["status"]).encode() == status
    assert (await bench.log("system"))[-1].outcome == "FAILURE"


async def test_a_box_that_sends_half_a_request_is_cut_in_time(bench, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.han.connection.IDLE_S", 0.2)
    monkeypatch.setattr("clsbench.smgw.rest.BODY_WITHIN_S", 0.2)
    assert await raw_exchange(bench, b"GET /smgw/cls/v1/rts/ti") == b""
    head = b"POST /smgw/cls/v1/fas/event HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"
    assert (await raw_exchange(bench, head)).startswith(b"HTTP/1.1 408")


async def test_every_refusal_is_in_the_system_log_with_consecutive_numbers(bench):
    async with bench.box() as box:
        await announce(box, bench, cls_id=OTHER_CLS)
        await box.get(bench.url("rts/unheard-of"))
    await asyncio.sleep(0.05)
    entries = await bench.log("system")
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    refused = [entry for entry in entries if entry.event == "han.refused"]
    assert len(refused) == 2 and all(entry.outcome == "FAILURE" for entry in refused)
    assert refused[0].subject == DEFAULT_CLS


COMMAND = Command(
    "0190c0de-0000-7000-8000-0000000000aa",
    DEFAULT_CLS,
    DEFAULT_EMT,
    "begin",
    UUID,
    "t",
    1_780_000_000_000,
    "taf16-1",
)
DONE = {"code": 0, "seq": 9, "text": "switched"}


async def test_the_long_poll_gets_a_command_and_its_answer_reaches_the_sender(bench):
    async with bench.box() as box:
        poll = asyncio.create_task(box.get(bench.url("rts/command/?wait_ms=5000")))
        await asyncio.sleep(0.1)
        sent = asyncio.create_task(bench.gateway.desk.submit(COMMAND, "consumer1"))
        async with await poll as answer:
            assert answer.status == 200
            assert await answer.json() == COMMAND.for_cls()
        async with box.get(bench.url("rts/command/?wait_ms=0")) as again:
            assert (await again.json())["id"] == COMMAND.id
        reply = bench.url(f"rts/command/{COMMAND.id}")
        async with box.post(reply, json=DONE) as taken:
            assert taken.status == 204
        assert (await sent).as_json() == DONE
        async with box.post(reply, json=DONE) as repeated:
            assert repeated.status == 204
        async with box.post(reply, json=DONE | {"code": 5}) as changed:
            assert changed.status == 409
        async with box.get(bench.url("rts/command/?wait_ms=10")) as none_left:
            assert none_left.status == 204
    assert (await bench.gateway.desk.submit(COMMAND, "consumer1")).as_json() == DONE
    assert len(bench.events("command.forwarded")) == 2


async def test_a_command_is_not_offered_to_nor_answered_by_another_box(bench):
    sent = asyncio.create_task(bench.gateway.desk.submit(COMMAND, "consumer1"))
    async with bench.box(OTHER_CLS) as box:
        async with box.get(bench.url("rts/command/?wait_ms=50")) as poll:
            assert poll.status == 204
        async with box.post(bench.url(f"rts/command/{COMMAND.id}"), json=DONE) as answer:
            assert answer.status == 404
    sent.cancel()


def sealed(seq, cls_id=DEFAULT_CLS, filler=b"") -> bytes:
    payload = cbor2.dumps({1: seq, 5: "t", 6: cls_id})
    return cbor2.dumps(
        cbor2.CBORTag(17, [b"\xa1\x01\x05", {4: b"id"}, payload, filler.ljust(32, b"\0")])
    )


async def deliver(box, bench, body):
    headers = {"Content-Type": "application/cbor-seq"}
    async with box.post(bench.url("rts/record/"), data=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_sealed_records_are_stored_once_and_acknowledged(bench):
    async with bench.box() as box:
        assert await deliver(box, bench, sealed(1) + sealed(2)) == (
            200,
            {"acknowledged": 2, "beyond": []},
        )
        assert (await deliver(box, bench, sealed(2) + sealed(4)))[1] == {
            "acknowledged": 2,
            "beyond": [[4, 4]],
        }
        assert (await deliver(box, bench, sealed(2, filler=b"x")))[0] == 409
        assert (await deliver(box, bench, sealed(5, cls_id=OTHER_CLS)))[0] == 403
        assert (await deliver(box, bench, b"\x00\x01"))[0] == 422
        assert (await deliver(box, bench, b""))[0] == 422
    told = [event["detail"]["seq"] for event in bench.events("device.record")]
    assert told == [1, 2, 4]


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
    meter = Meter("1EMH0000000007")
    async with running(pki, tmp_path, meter=meter) as bench, bench.box() as box:
        status, _ = await announce(box, bench)
        assert status == 503
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
    start_ms = 1_780_000_200_000 // 900_000 * 900_000 + 895_000  # 5 s before a due time
    clock = BenchClock(speed=100, utc_ms=start_ms)
    smgw = {"clock": clock.spec()}
    meter = Meter()
    async with running(pki, tmp_path, meter=meter, smgw=smgw, pushing=False) as bench:
        pusher = asyncio.create_task(meter.run())
        await bench.until("taf7.record")
        pusher.cancel()
        (taken,) = bench.events("taf7.record")
        due_ms = start_ms + 5000
        assert taken["detail"]["due_ms"] == due_ms and taken["detail"]["seq"] == 1
        assert abs(taken["detail"]["captured_ms"] - due_ms) <= 9000
    meter.close()
    later = BenchClock(speed=1, utc_ms=due_ms + 2 * 900_000 + 9001)
    async with running(pki, tmp_path, smgw={"clock": later.spec()}, pushing=False) as bench:
        await bench.until("taf7.gap", 2)
        gaps = [event["detail"] for event in bench.events("taf7.gap")]
        assert [(gap["seq"], gap["due_ms"]) for gap in gaps] == [
            (2, due_ms + 900_000),
            (3, due_ms + 1_800_000),
        ]


async def test_a_record_made_without_valid_time_is_flagged(pki, tmp_path):
    smgw = {"time_state": "unset"}
    async with running(pki, tmp_path, smgw=smgw) as bench, bench.box() as box:
        assert (await announce(box, bench))[0] == 200
        (outgoing,) = await bench.undelivered()
    record = json.loads(cms.verify(outgoing.cms, pki.wan_trust.read_bytes()).content)
    assert record["status"].startswith("A0400000") and record["time_state"] == "unset"


async def test_a_session_is_cut_when_it_has_lasted_long_enough(bench, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.han.connection.MAX_SESSION_S", 0.2)
    head = b"GET /smgw/cls/v1/rts/command/?wait_ms=400 HTTP/1.1\r\nHost: a\r\n\r\n"
    began = time.monotonic()
    answer = await raw_exchange(bench, head)
    assert answer.startswith(b"HTTP/1.1 204")  # the answer in hand is still given
    assert 0.4 <= time.monotonic() - began < 3
