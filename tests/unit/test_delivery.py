"""What the device sends to its gateway, and what it makes of the answers."""

import asyncio

import cbor2
import pytest

from dicamm import codes
from dicamm.app.delivery_task import BATCH, Backoff, Delivery
from dicamm.link.han import HanError
from dicamm.proto.cose import Mac0

MAC = Mac0(bytes(32), b"ETST0020000017")


def sealed(seq: int, **more) -> bytes:
    fields = {1: seq, 2: 16, 3: bytes(16), 4: 1, 6: "ETST0020000017", 10: 1_000, 11: [0, None]}
    fields |= {int(name[1:]): value for name, value in more.items()}
    return MAC.seal(cbor2.dumps({k: v for k, v in fields.items() if v is not None}))


class FakeJournal:
    """Records 1..count; the numbers in `holes` cannot be read."""

    def __init__(self, count: int, oldest: int = 1, holes: tuple[int, ...] = (), **first):
        self.newest, self.oldest, self.holes = count, oldest, holes
        self.mark = 0
        self.told: list[int] = []
        self.first = first

    def read(self, seq):
        if seq in self.holes or not self.oldest <= seq <= self.newest:
            return None
        return sealed(seq, **(self.first if seq == self.oldest else {}))

    def pending(self, limit):
        return list(range(max(self.mark + 1, self.oldest), self.newest + 1))[:limit]

    def acknowledge(self, seq):
        self.mark = max(self.mark, seq)

    def unannounced(self):
        return next((n for n in range(self.oldest, self.newest + 1) if n not in self.told), 0)

    def announced(self, seq):
        self.told.append(seq)


class FakeGateway:
    """answers: for each delivery (acknowledged, range it lacks or None), or a status to refuse."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent: list[tuple[list[int], int]] = []
        self.events: list[dict] = []

    async def deliver(self, records, first):
        numbers = [cbor2.loads(MAC.open(each))[1] for each in records]
        self.sent.append((numbers, first))
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            raise HanError(codes.HAN_REFUSED, answer)
        return answer

    async def announce(self, event):
        self.events.append(event)
        return 7


def delivery(gateway: FakeGateway, journal: FakeJournal, utc_ms=lambda: None) -> Delivery:
    class Quiet:
        def write(self, *_):
            """Keeps nothing."""

    return Delivery(gateway, journal, MAC, utc_ms, Quiet(), lambda: 0)


async def test_the_oldest_go_first_in_batches_each_once():
    gateway = FakeGateway((BATCH, None), (8, None))
    journal = FakeJournal(8)
    task = delivery(gateway, journal)
    assert await task._deliver() and await task._deliver()
    assert [numbers for numbers, _ in gateway.sent] == [[1, 2, 3, 4, 5, 6], [7, 8]]
    assert journal.mark == 8 and not await task._deliver()


async def test_what_the_gateway_lacks_is_sent_again_although_it_was_acknowledged():
    gateway = FakeGateway((9, (2, 3)), (9, None))
    journal = FakeJournal(9)
    journal.mark = 8
    task = delivery(gateway, journal)
    assert await task._deliver() and await task._deliver()
    assert [numbers for numbers, _ in gateway.sent] == [[9], [2, 3]]
    assert journal.mark == 9


async def test_nobody_acknowledges_more_than_was_sent():
    journal = FakeJournal(9)
    await delivery(FakeGateway((1_000, None)), journal)._deliver()
    assert journal.mark == BATCH


@pytest.mark.parametrize("status", [409, 422])
async def test_a_refused_batch_holds_up_none_behind_it_and_stays_unacknowledged(status):
    gateway = FakeGateway(status, (0, None))
    journal = FakeJournal(9)
    task = delivery(gateway, journal)
    with pytest.raises(HanError):
        await task._deliver()
    assert await task._deliver()
    assert [numbers for numbers, _ in gateway.sent] == [[1, 2, 3, 4, 5, 6], [7, 8, 9]]
    assert journal.mark == 0 and not await task._deliver()


async def test_a_batch_without_answer_is_sent_again():
    gateway = FakeGateway(503, (3, None))
    task = delivery(gateway, FakeJournal(3))
    with pytest.raises(HanError):
        await task._deliver()
    assert await task._deliver()
    assert [numbers for numbers, _ in gateway.sent] == [[1, 2, 3], [1, 2, 3]]


async def test_the_gateway_is_told_from_where_on_all_is_here():
    gateway = FakeGateway((12, None), (12, None))
    task = delivery(gateway, FakeJournal(12, oldest=8))
    await task._deliver()
    assert gateway.sent == [([8, 9, 10, 11, 12], 8)]
    gateway = FakeGateway((3, None))
    await delivery(gateway, FakeJournal(3, holes=(2,)))._deliver()
    assert gateway.sent == [([1, 3], 3)]


async def test_an_event_of_unset_time_is_announced_once_time_is_known():
    now: list[int | None] = [None]
    gateway = FakeGateway()
    journal = FakeJournal(2, _10=None)
    task = delivery(gateway, journal, lambda: now[0])
    assert not await task._announce() and gateway.events == []
    now[0] = 5_000
    assert await task._announce() and await task._announce()
    assert [event["event_ms"] for event in gateway.events] == [5_000, 1_000]
    assert journal.told == [1, 2]


async def test_pauses_grow_to_seconds_and_half_of_each_is_chance(monkeypatch):
    slept: list[int] = []

    async def sleep_ms(ms):
        slept.append(ms)

    monkeypatch.setattr(asyncio, "sleep_ms", sleep_ms, raising=False)
    for chance, first, last in ((0, 50, 2_500), (255, 99, 4_990)):
        slept.clear()
        backoff = Backoff(lambda byte=chance: byte)
        for _ in range(9):
            await backoff.pause()
        assert slept == sorted(slept) and (slept[0], slept[-1]) == (first, last)
        backoff.reset()
        await backoff.pause()
        assert slept[-1] == first
