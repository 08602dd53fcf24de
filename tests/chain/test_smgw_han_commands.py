"""Commands fetched by long poll and answered, and sealed records taken, on the HAN."""

import asyncio

import cbor2
import pytest
from smgw_bench import OTHER_CLS, UUID, running

from clsbench.pki.layout import DEFAULT_CLS, DEFAULT_EMT
from clsbench.smgw.core.commands import Command

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


@pytest.fixture
async def bench(pki, tmp_path):
    async with running(pki, tmp_path) as running_bench:
        yield running_bench


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
