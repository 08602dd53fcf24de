"""The gateway's outbox: what waits together travels together, to receivers of one record too."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from clsbench.net.reverse import HttpAnswer
from clsbench.smgw.exchange import Exchange
from clsbench.smgw.store import Draft, Store
from clsbench.smgw.wan.channels import Backoff
from clsbench.smgw.wan.delivery import LIST, LIST_PATH, MAX_LIST_BYTES, RECORD_PATH, Delivery
from clsbench.smgw.worker import StoreWorker

EMT = "flexmarkt"


def answered(status: int, **content) -> HttpAnswer:
    return HttpAnswer(status, {}, json.dumps(content).encode())


class Silent:
    """A journal that keeps what failed."""

    def __init__(self):
        self.failed: list[str] = []

    def event(self, *_names, **fields) -> None:
        if fields.get("ok") is False and "reason" in fields["detail"]:
            self.failed.append(fields["detail"]["reason"])

    def system(self, *_fields) -> None:
        return None


class Outbox(Delivery):
    """A delivery whose receiver is `receive(path, body)`. posted: what it was sent."""

    def __init__(self, folder, receive):
        self.kept = Store(folder)
        self.worker = StoreWorker(asyncio.get_running_loop())
        self.told = Silent()
        self.receive = receive
        self.posted: list[tuple[str, bytes]] = []
        emt = SimpleNamespace(name=EMT, cls_ids=())
        clock = SimpleNamespace(now_ms=lambda: 1)
        parts = (self.kept, Exchange(self.kept), self.worker, self.told, clock, 1.0)
        super().__init__(emt, None, *parts)  # type: ignore[arg-type]

    def write(self, count: int, size: int = 2) -> None:
        for _ in range(count):
            draft = Draft("taf9", (EMT,), 1, lambda seq: (b"", bytes([seq % 256]) * size))
            self.kept.record_state(draft)

    def waiting(self) -> list[int]:
        return [each.seq for each in self.kept.undelivered(EMT, 0, 999)]

    async def _post(self, path, body, content_type):
        self.posted.append((path, body))
        return self.receive(path, body)


@pytest.fixture
async def outbox(tmp_path):
    made = Outbox(tmp_path, lambda path, body: answered(200, statuses=[200] * (len(body) // 2)))
    yield made
    made.worker.close()
    made.kept.close()


async def test_what_waits_together_travels_together_oldest_first(outbox):
    outbox.write(LIST + 3)
    assert await outbox._deliver_all() == 0
    bodies = [bytes([seq % 256]) * 2 for seq in range(1, LIST + 4)]
    first, second = b"".join(bodies[:LIST]), b"".join(bodies[LIST:])
    assert outbox.posted == [(LIST_PATH, first), (LIST_PATH, second)]
    assert outbox.waiting() == []


async def test_one_that_waits_alone_travels_as_ever(outbox):
    outbox.receive = lambda path, body: answered(200, stored=True)
    outbox.write(1)
    assert await outbox._deliver_all() == 0
    assert outbox.posted == [(RECORD_PATH, b"\x01\x01")] and outbox.waiting() == []


async def test_what_is_refused_of_a_list_stays_and_holds_up_no_other(outbox):
    outbox.receive = lambda path, body: answered(
        200, statuses=[200, 422, 200], errors={"1": "altered"}
    )
    outbox.write(3)
    assert await outbox._deliver_all() == 1
    assert outbox.waiting() == [2]
    assert outbox.told.failed == ["record 2 of taf9 refused with 422: altered"]


async def test_what_the_receiver_lacks_is_sent_again(outbox):
    outbox.write(3)
    await outbox._deliver_all()
    outbox.write(2)
    outbox.receive = lambda path, body: answered(
        200, statuses=[200, 200], missing={"taf9": [[2, 2]]}
    )
    assert await outbox._deliver_all() == 0
    assert outbox.waiting() == [2]


@pytest.mark.parametrize("status", [404, 405, 413])
async def test_a_receiver_without_lists_gets_one_at_a_time(outbox, status):
    outbox.receive = lambda path, body: (
        answered(status, error="no") if path == LIST_PATH else answered(200, stored=True)
    )
    outbox.write(2)
    assert await outbox._deliver_all() == 0
    outbox.write(2)
    assert await outbox._deliver_all() == 0
    assert [path for path, _ in outbox.posted] == [LIST_PATH, *[RECORD_PATH] * 4]
    assert outbox.waiting() == []


async def test_an_answer_without_a_status_for_each_confirms_nothing(outbox):
    outbox.receive = lambda path, body: (
        answered(200, statuses=[200]) if path == LIST_PATH else answered(503, error="later")
    )
    outbox.write(2)
    assert await outbox._deliver_all() == 2
    assert outbox.waiting() == [1, 2]


async def test_a_body_has_an_end(outbox):
    half = MAX_LIST_BYTES // 2
    outbox.receive = lambda path, body: (
        answered(200, statuses=[200] * (len(body) // half))
        if path == LIST_PATH
        else answered(200, stored=True)
    )
    outbox.write(3, size=half)
    assert await outbox._deliver_all() == 0
    assert [len(body) for _, body in outbox.posted] == [2 * half, half]


async def test_what_was_refused_keeps_nothing_new_waiting(outbox, monkeypatch):
    paused, over, sent = asyncio.Event(), asyncio.Event(), asyncio.Queue()

    async def pause(_backoff):
        paused.set()
        await over.wait()
        over.clear()

    def receive(_path, body):
        sent.put_nowait(body)
        bad = body == b"\x01\x01"
        return answered(422, error="revoked") if bad else answered(200, stored=True)

    monkeypatch.setattr(Backoff, "pause", pause)
    outbox.receive = receive
    outbox.write(1)
    running = asyncio.create_task(outbox.run())
    await paused.wait()
    outbox.write(1)
    outbox.wake()
    assert [await sent.get(), await sent.get()] == [b"\x01\x01", b"\x02\x02"]
    over.set()
    assert await sent.get() == b"\x01\x01"
    assert outbox.waiting() == [1]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
