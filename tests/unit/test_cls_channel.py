"""The aEMT's CLS channels: whom it believes, what it asks, how records come in."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from clsbench.emt import cls_channel
from clsbench.emt.cls_channel import ClsChannels
from clsbench.emt.cls_way import ChannelWay
from clsbench.emt.config import ClsEntry
from clsbench.emt.delivery import KnownCls
from clsbench.errors import PeerRefused, PeerSilent
from clsbench.net.tls import Peer
from clsbench.store.device_records import Holding
from dicamm.link import channel as device

SMGW, BOX, OTHER = "ETST0010000001", "ETST0020000017", "ETST0020000018"
KEY = bytes(range(32))
GATEWAY = Peer(f"{SMGW.lower()}.smgw", SMGW, "SMGW", "")


def entry(cls_id=BOX, **more):
    return ClsEntry(cls_id=cls_id, smgw_id=SMGW, taf_profile="taf16", **more)


class Emt:
    """The aEMT's channels without its ports; records are numbers here."""

    def __init__(self):
        self.held = set()
        self.told = []
        self.orders = []
        self.up, self.down = asyncio.Event(), asyncio.Event()
        self.refuse_order = None
        known = {
            BOX: KnownCls(entry(proxy="p"), KEY),
            OTHER: KnownCls(entry(OTHER), None),
        }
        self.channels = ClsChannels(known, self.take, self.order, self)

    def event(self, lane_from, lane_to, kind, name, **more):
        self.told.append((name, more["ok"], more["detail"]))
        if "state" in more["detail"]:
            {"up": self.up, "down": self.down}[more["detail"]["state"]].set()

    def take(self, known, records):
        self.held.update(int(record) for record in records)
        newest = max(self.held, default=0)
        missing = [n for n in range(1, newest) if n not in self.held]
        upto = missing[0] - 1 if missing else newest
        return Holding(upto, [(n, n) for n in missing], newest)

    async def order(self, smgw_id, proxy, uuid):
        self.orders.append((smgw_id, proxy, uuid))
        if self.refuse_order is not None:
            raise self.refuse_order

    def refusals(self):
        return [detail["reason"] for name, ok, detail in self.told if not ok]


class BoxEnd:
    """A box's end of a connection, with the device's own code for bytes."""

    def __init__(self, reader, writer, key=KEY, cls_id=BOX):
        self.reader, self.writer = reader, writer
        self._key, self._cls_id = key, cls_id
        self.seals = None

    async def open(self):
        own = bytes(16)
        self.write_plain(device.opening(self._cls_id, own))
        theirs = device.nonce_of(await self.receive())
        self.seals = device.Seals(self._key, self._cls_id, own, theirs)

    def write_plain(self, content):
        self.writer.write(device.envelope(content))

    async def receive(self):
        async with asyncio.timeout(30):
            return await device.receive(self.reader)

    async def heard(self):
        return self.seals.open(await self.receive())

    def say(self, message):
        self.write_plain(self.seals.seal(message))

    async def prove(self):
        """Answers the first question, which is what the aEMT holds; returns that."""
        asked = await self.heard()
        self.say({0: 4, 1: asked[1], 2: 0, 3: None, 4: ""})
        return asked

    async def closed(self):
        async with asyncio.timeout(30):
            while await self.reader.read(1000):
                pass


@asynccontextmanager
async def emt():
    made = Emt()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: made.channels.accept(GATEWAY), "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    ends = []

    async def connect(**who):
        end = BoxEnd(*await asyncio.open_connection("127.0.0.1", made.port), **who)
        ends.append(end)
        return end

    made.connect = connect
    try:
        yield made
    finally:
        await made.channels.close()
        for end in ends:
            end.writer.close()
        server.close()


async def standing(made):
    box = await made.connect()
    await box.open()
    await box.prove()
    async with asyncio.timeout(30):
        await made.up.wait()
    made.up.clear()
    return box


async def test_a_box_that_proves_itself_has_a_channel():
    async with emt() as made:
        box = await standing(made)
        assert made.channels.names() == [BOX] and made.orders == []
        box.writer.close()
        async with asyncio.timeout(30):
            await made.down.wait()
        assert [(name, detail["state"]) for name, _, detail in made.told] == [
            ("cls-channel", "up"),
            ("cls-channel", "down"),
        ]


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"\xff", "begins no envelope"),
        (device.envelope(b"\x01"), "no map"),
        (device.envelope(device.opening("ETST0020000099", bytes(16))), "in no [[cls]]"),
        (device.envelope(device.opening(OTHER, bytes(16))), "nothing proves who it is"),
        (2 * device.envelope(device.opening(BOX, bytes(16))), "before it was answered"),
        (b"", "closed before"),
    ],
)
async def test_who_opens_wrongly_is_refused_and_told(first, reason):
    async with emt() as made:
        box = await made.connect()
        box.writer.write(first)
        if not first:
            box.writer.write_eof()
        await box.closed()
        assert len(made.refusals()) == 1 and reason in made.refusals()[0]


async def test_a_box_of_another_gateway_is_refused():
    made = Emt()
    with pytest.raises(PeerRefused):
        made.channels.accept(Peer("x.smgw", "ETST0010000002", "SMGW", ""))
    with pytest.raises(PeerRefused):
        made.channels.accept(Peer("x.EMT", SMGW, "EMT", ""))


async def test_with_another_key_nothing_stands():
    async with emt() as made:
        box = await made.connect(key=bytes(32))
        await box.open()
        await box.receive()
        box.say({0: 4, 1: 1, 2: 0, 3: None, 4: ""})
        await box.closed()
        assert made.channels.names() == [] and "seal does not hold" in made.refusals()[0]


async def test_a_message_said_again_ends_the_channel():
    async with emt() as made:
        box = await standing(made)
        sealed = box.seals.seal({0: 4, 1: 1, 2: 0, 3: None, 4: ""})
        box.write_plain(sealed)
        box.write_plain(sealed)
        await box.closed()
        assert "message 2 behind message 2" in made.told[-1][2]["reason"]


async def test_who_says_nothing_is_cut_in_time(monkeypatch):
    monkeypatch.setattr(cls_channel, "OPEN_WITHIN_S", 0.1)
    async with emt() as made:
        await (await made.connect()).closed()
        assert "not opened within 0.1 s" in made.refusals()[0]


async def test_a_command_goes_to_the_box_and_its_answer_back():
    async with emt() as made:
        box = await standing(made)
        way = ChannelWay(made.channels, BOX)
        row = {"uuid": "0" * 32, "action": "begin", "text": "t", "event_ms": 5}
        session = await way.ready(1)
        sending = asyncio.create_task(way.send(session, row, 5))
        asked = await box.heard()
        assert asked == {0: 3, 1: asked[1], 2: "begin", 3: bytes(16), 4: "t", 5: 5}
        box.say({0: 4, 1: asked[1], 2: 0, 3: 12, 4: "done"})
        answer = await sending
        assert answer.status == 200 and answer.json() == {"code": 0, "seq": 12, "text": "done"}


@pytest.mark.parametrize("wrong", [{2: "x"}, {4: None}, {3: "x"}, {2: True}])
async def test_an_answer_that_is_none_counts_as_silence(wrong):
    async with emt() as made:
        box = await standing(made)
        session = await made.channels.session(BOX, 1)
        sending = asyncio.create_task(session.command("begin", bytes(16), "", 5, 5))
        asked = await box.heard()
        box.say({0: 4, 1: asked[1], 2: 0, 3: None, 4: ""} | wrong)
        with pytest.raises(PeerSilent):
            await sending


async def test_a_box_that_does_not_answer_or_leaves_is_silent():
    async with emt() as made:
        box = await standing(made)
        session = await made.channels.session(BOX, 1)
        with pytest.raises(PeerSilent, match="within 0.05 s"):
            await session.command("begin", bytes(16), "", 5, 0.05)
        sending = asyncio.create_task(session.command("end", bytes(16), "", 5, 5))
        await asyncio.sleep(0.02)
        box.writer.close()
        with pytest.raises(PeerSilent):
            await sending


async def test_where_there_is_no_channel_it_is_ordered_once_for_all_who_wait():
    async with emt() as made:
        waiting = [asyncio.create_task(made.channels.session(BOX, 5, "u")) for _ in range(3)]
        await asyncio.sleep(0.02)
        box = await made.connect()
        await box.open()
        await box.prove()
        assert len({id(await session) for session in waiting}) == 1
        assert made.orders == [(SMGW, "p", "u")]


async def test_an_order_refused_is_final_and_no_channel_is_silence():
    async with emt() as made:
        with pytest.raises(PeerSilent, match="no channel open"):
            await made.channels.session(BOX, 0.02)
        made.refuse_order = PeerRefused("GWA answered 403")
        with pytest.raises(PeerRefused):
            await made.channels.session(BOX, 1)


async def test_a_newer_channel_takes_the_place_of_the_old_one():
    async with emt() as made:
        old = await standing(made)
        first = await made.channels.session(BOX, 1)
        await standing(made)
        await old.closed()
        assert first.closed and "replaced" in first.reason
        assert made.channels.names() == [BOX]


async def test_records_are_stored_and_acknowledged_and_gaps_asked_for_once():
    async with emt() as made:
        made.held = {1, 2, 5}
        box = await made.connect()
        await box.open()
        asked = await box.prove()
        assert (asked[0], asked[2], asked[3], asked[4]) == (6, 2, [[3, 3]], 5)
        asked = await box.heard()  # the answer came without record 3: the next gap is asked for
        assert (asked[2], asked[3], asked[4]) == (2, [[4, 4]], 5)
        box.say({0: 5, 2: 4, 3: b"4"})
        box.say({0: 5, 2: 6, 3: b"6"})
        while True:
            asked = await box.heard()
            assert 3 not in asked  # what the box no longer has is not asked for again
            if asked[4] == 6:
                break
        assert made.held == {1, 2, 4, 5, 6} and asked[2] == 2


async def test_a_record_message_without_its_record_ends_the_channel():
    async with emt() as made:
        box = await standing(made)
        box.say({0: 5, 2: 4})
        await box.closed()
        assert "without its record" in made.told[-1][2]["reason"]


def test_a_way_over_the_channel_needs_the_boxs_key(tmp_path):
    with pytest.raises(ValueError, match="via channel needs key_file"):
        entry(via="channel")
    assert entry(via="channel", key_file=tmp_path / "records.key").proxy == ""
