"""Channels through the gateway on real sockets: who gets one, what goes through, how it ends."""

import asyncio
import hashlib
import random
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from cryptography import x509
from tls_kit import HOST, Echo

from clsbench.net import socks_tls as socks
from clsbench.net import tls
from clsbench.net.listener import TlsListener
from clsbench.net.socks_tls_io import SocksRefused, open_socks_tls
from clsbench.pki.layout import Pki
from clsbench.pki.names import Peer, fingerprint
from clsbench.smgw.cls.engine import NoChannel, ProxyEngine
from clsbench.smgw.cls.legs import Legs
from clsbench.smgw.cls.socks import SocksPort
from clsbench.smgw.core.parties import ClsProfile, EmtProfile, Endpoint, ProxyProfile
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.rights import Rights, Target
from clsbench.smgw.core.validity import Validity

SMGW, CLS, OTHER = "ETST0010000001", "ETST0020000017", "ETST0020000018"
EMT, GWA = "flexmarkt", "gwa-test"
ADMINISTRATOR = Peer(f"{GWA}.GWA", GWA, "GWA", "")
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki") / "pki"
    return Pki.init(folder, SMGW, GWA, [EMT, "other"], [CLS, OTHER])


class Told:
    """A journal that only remembers."""

    def __init__(self):
        self.names = []
        self.log = []

    def event(self, lane_from, lane_to, kind, name, **more):
        self.names.append((name, more.get("ok", True), more.get("detail") or {}))

    def system(self, event, subject, message, *more):
        self.log.append((event, message))

    def refused(self, lane, event, subject, reason, uuid=None, detail=None):
        self.event(lane, "SMGW", "fault", event, ok=False, detail={"reason": reason})
        self.system(event, subject, reason)

    def of(self, name):
        return [detail for told, _, detail in self.names if told == name]


class Sink(asyncio.Protocol):
    """Takes bytes; hears of the end."""

    def __init__(self):
        self.hash = hashlib.sha256()
        self.size = 0
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.hash.update(data)
        self.size += len(data)
        self.changed.set()

    def connection_lost(self, exc):
        self.ended.set()

    async def until(self, size):
        async with asyncio.timeout(20):
            while self.size < size:
                self.changed.clear()
                await self.changed.wait()


class Bench:
    def __init__(self, pki):
        self.pki = pki
        self.told = Told()
        self.make = Echo  # protocol of the market participant
        self.made = []
        self.now_ms = 1_000_000
        self.refused = []

    def accept(self, peer):
        self.made.append(self.make())
        return self.made[-1]

    def profiles(self, *proxies, **emt):
        return Profiles(
            SMGW,
            cls=tuple(ClsProfile(cls_id, self.fingerprint(cls_id)) for cls_id in (CLS, OTHER)),
            emts=(
                replace(
                    EmtProfile(EMT, Endpoint(HOST, 1), Endpoint(HOST, 1), (CLS, OTHER)), **emt
                ),
            ),
            proxies=proxies,
        )

    def fingerprint(self, cls_id):
        pem = self.pki.cls(cls_id).cert.read_bytes()
        return fingerprint(x509.load_pem_x509_certificate(pem))

    def client(self, cls_id=CLS):
        return tls.han_client(self.pki.cls(cls_id), self.pki.han_trust)


@asynccontextmanager
async def bench(pki, emt=EMT, within_s=2.0, max_session_s=1000.0):
    """A gateway's channels, and the market participant `emt` that they lead to."""
    found = Bench(pki)
    server = tls.wan_server(pki.emt(emt).tls, pki.wan_trust)
    listener = TlsListener(server, found.accept, lambda reason, _: found.refused.append(reason))
    found.wan_port = await listener.start(HOST, 0)
    found.proxy = ProxyProfile(
        "p", CLS, EMT, "emt.flexmarkt", (Endpoint(HOST, found.wan_port),), wan_tls_sni="emt"
    )
    held = found.profiles(found.proxy)
    rights = Rights(held, GWA, lambda: found.now_ms)
    legs = Legs(
        tls.wan_client(pki.smgw.tls, pki.wan_trust),
        tls.han_client(pki.smgw_han, pki.han_trust),
        within_s,
    )

    def adopt(profiles):
        rights._profiles = profiles

    found.adopt = adopt
    found.now_s = 0.0
    found.engine = ProxyEngine(rights, found.told, legs, max_session_s, lambda: found.now_s)
    context = tls.han_server(pki.smgw_han, pki.han_trust)
    port = SocksPort(context, rights, found.engine, found.told)
    found.port = await port.start(HOST, 0)
    try:
        yield found
    finally:
        found.engine.close()
        await port.close()
        await listener.close()


async def until(condition):
    deadline = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


async def test_a_box_reaches_its_market_participant_by_server_name(pki):
    async with bench(pki) as b:
        heard = Sink()
        box = await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", heard)
        box.write(b"x" * 1000)
        await heard.until(1006)
        assert [state["to_wan"] for state in b.engine.states()] == [1000]
        box.close()
        await until(lambda: b.told.of("proxy.closed"))
        closed = b.told.of("proxy.closed")[0]
        assert (closed["to_wan"], closed["to_box"]) == (1000, 1006)
        assert [name for name, ok, _ in b.told.names if ok] == [
            "proxy.asked",
            "proxy.wan",
            "proxy.open",
            "proxy.closed",
        ]
        assert [event for event, _ in b.told.log] == ["proxy.open", "proxy.closed"]
        assert b.engine.states() == []


async def reply_to(b, name, cls_id=CLS):
    with pytest.raises(SocksRefused) as refused:
        await open_socks_tls(HOST, b.port, b.client(cls_id), name, Sink())
    return refused.value.code


async def test_without_a_profile_that_fits_the_reply_is_2(pki):
    async with bench(pki) as b:
        assert await reply_to(b, "nobody") == 2
        assert await reply_to(b, "emt.flexmarkt", OTHER) == 2  # another box's
        for changed in (
            replace(b.proxy, opened_by="emt", cls_peer=Endpoint(HOST, 1)),
            replace(b.proxy, validity=Validity(0, b.now_ms)),
        ):
            b.adopt(b.profiles(changed))
            assert await reply_to(b, "emt.flexmarkt") == 2
        b.adopt(b.profiles(b.proxy, cls_ids=(OTHER,)))
        assert await reply_to(b, "emt.flexmarkt") == 2
        b.adopt(b.profiles(b.proxy, validity=Validity(b.now_ms + 1)))
        assert await reply_to(b, "emt.flexmarkt") == 2
        refusals = b.told.of("proxy.refused")
        assert len(refusals) == 6 and len(b.told.log) == 6
        assert "no proxy profile 'nobody'" in refusals[0]["reason"]
        assert not b.made


async def test_a_name_no_profile_can_have_is_reply_2_as_well(pki, monkeypatch):
    monkeypatch.setattr(socks, "is_server_name", lambda name: True)
    async with bench(pki) as b:
        monkeypatch.undo()
        forged = socks.request("x").replace(b"\x01x", b"\x03A_\xff")
        monkeypatch.setattr(socks, "request", lambda name: forged)
        assert await reply_to(b, "x") == 2


async def test_a_wan_peer_is_reached_by_its_address_too(pki, monkeypatch):
    async with bench(pki) as b:
        asked = b"\x05\x01\x00\x01" + bytes((127, 0, 0, 1)) + b.wan_port.to_bytes(2, "big")
        monkeypatch.setattr(socks, "request", lambda name: asked)
        heard = Sink()
        await open_socks_tls(HOST, b.port, b.client(), "x", heard)
        await heard.until(6)


async def test_a_wan_partner_that_refuses_is_reply_5(pki):
    async with bench(pki, emt="other") as b:  # its certificate names somebody else
        assert await reply_to(b, "emt.flexmarkt") == 5
    async with bench(pki) as b:
        b.adopt(b.profiles(replace(b.proxy, wan_peers=(Endpoint(HOST, 1),))))
        assert await reply_to(b, "emt.flexmarkt") == 5
        b.adopt(b.profiles(replace(b.proxy, wan_peers=())))
        assert await reply_to(b, "emt.flexmarkt") == 5
        assert len(b.told.of("proxy.wan")) == 2 and b.engine.states() == []


async def test_a_wan_partner_that_does_not_answer_is_reply_4(pki):
    silent = await asyncio.start_server(lambda *_: None, HOST, 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, bench(pki, within_s=0.2) as b:
        b.adopt(b.profiles(replace(b.proxy, wan_peers=(Endpoint(HOST, port),))))
        assert await reply_to(b, "emt.flexmarkt") == 4


async def test_a_second_wan_peer_stands_in_for_the_first(pki):
    async with bench(pki) as b:
        peers = (Endpoint(HOST, 1), *b.proxy.wan_peers)
        b.adopt(b.profiles(replace(b.proxy, wan_peers=peers)))
        heard = Sink()
        await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", heard)
        await heard.until(6)


async def test_one_profile_has_so_many_channels_and_no_more(pki):
    async with bench(pki) as b:
        for _ in range(4):
            await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", Sink())
        assert await reply_to(b, "emt.flexmarkt") == 5


@pytest.mark.parametrize("end", ["changed", "gone", "over"])
async def test_a_channel_is_cut_when_its_profile_changes_and_at_the_session_limit(pki, end):
    async with bench(pki) as b:
        heard = Sink()
        await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", heard)
        await heard.until(6)
        b.engine.look()
        assert len(b.engine.states()) == 1
        if end == "changed":
            b.adopt(b.profiles(replace(b.proxy, wan_tls_sni="")))
        elif end == "gone":
            b.adopt(b.profiles())
        else:
            b.now_s = 1000.0
        b.engine.look()
        async with asyncio.timeout(5):
            await heard.ended.wait()
        reason = b.told.of("proxy.closed")[0]["reason"]
        assert ("session cut" if end == "over" else "profiles changed") in reason


@asynccontextmanager
async def listening_box(b, cls_id=CLS, make=Echo):
    """A control box that waits for the gateway's TLS."""
    context = tls.han_server(b.pki.cls(cls_id), b.pki.han_trust)
    seen = []

    def accept(peer):
        seen.append(peer.cn)
        return make()

    listener = TlsListener(context, accept, lambda reason, _: seen.append(reason))
    port = await listener.start(HOST, 0)
    b.emt_proxy = replace(
        b.proxy, opened_by="emt", cls_peer=Endpoint(HOST, port), tls_sni="box.local"
    )
    b.adopt(b.profiles(b.emt_proxy))
    try:
        yield seen
    finally:
        await listener.close()


async def test_a_connect_of_the_administrator_opens_both_sides(pki):
    async with bench(pki) as b, listening_box(b) as seen:
        b.make = Sink
        await b.engine.connect(ADMINISTRATOR, Target(emt=EMT, proxy="p"))
        await b.made[0].until(6)  # the box's greeting, which nobody read before both were there
        assert seen == [f"{SMGW.lower()}.smgw"]
        b.made[0].transport.write(b"y" * 500)
        await b.made[0].until(506)
        first = b.made[0]
        await b.engine.connect(ADMINISTRATOR, Target(emt=EMT, proxy="p"))
        async with asyncio.timeout(5):
            await first.ended.wait()
        assert b.told.of("proxy.closed")[0]["reason"] == "replaced"
        assert len(b.engine.states()) == 1


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (Target(emt=EMT, proxy="nobody"), 404),
        (Target(emt="other", proxy="p"), 404),
        (Target(emt=EMT, proxy="p"), 403),
    ],
)
async def test_a_connect_that_no_profile_allows_is_refused(pki, target, status):
    async with bench(pki) as b:
        with pytest.raises(NoChannel) as no:
            await b.engine.connect(ADMINISTRATOR, target)
        assert no.value.http_status == status and len(b.told.of("proxy.refused")) == 1


async def test_a_box_with_another_certificate_is_not_spoken_to(pki):
    async with bench(pki) as b, listening_box(b):
        b.make = Sink
        wrong = ClsProfile(CLS, "00" * 32)
        held = b.profiles(b.emt_proxy)
        b.adopt(replace(held, cls=(wrong, held.cls[1])))
        with pytest.raises(NoChannel, match="not the pinned one"):
            await b.engine.connect(ADMINISTRATOR, Target(emt=EMT, proxy="p"))
        async with asyncio.timeout(5):
            await b.made[0].ended.wait()
        assert b.made[0].size == 0 and b.engine.states() == []
    async with bench(pki) as b, listening_box(b, OTHER):
        with pytest.raises(NoChannel, match="answered instead"):
            await b.engine.connect(ADMINISTRATOR, Target(emt=EMT, proxy="p"))


async def test_a_silent_box_is_504_and_an_absent_one_502(pki):
    silent = await asyncio.start_server(lambda *_: None, HOST, 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, bench(pki, within_s=0.2) as b:
        for at, status in ((port, 504), (1, 502)):
            peer = Endpoint(HOST, at)
            b.adopt(b.profiles(replace(b.proxy, opened_by="emt", cls_peer=peer)))
            with pytest.raises(NoChannel) as no:
                await b.engine.connect(ADMINISTRATOR, Target(emt=EMT, proxy="p"))
            assert no.value.http_status == status


async def pour(transport, data, total):
    """Writes `total` bytes, never more than a buffer ahead of the other side."""
    sent = 0
    while sent < total:
        if transport.get_write_buffer_size() < MIB:
            transport.write(data)
            sent += len(data)
        await asyncio.sleep(0)


async def test_both_ways_at_once_every_byte_comes_as_it_went_in(pki):
    total, chunk = 12 * MIB, random.Random(1).randbytes(MIB)
    expected = hashlib.sha256(chunk * 12).hexdigest()
    async with bench(pki) as b:
        b.make = Sink
        heard = Sink()
        box = await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", heard)
        await until(lambda: b.made)
        emt = b.made[0]
        async with asyncio.timeout(30):
            await asyncio.gather(
                pour(box, chunk, total),
                pour(emt.transport, chunk, total),
                emt.until(total),
                heard.until(total),
            )
        assert (emt.hash.hexdigest(), heard.hash.hexdigest()) == (expected, expected)
        box.close()
        await until(lambda: b.told.of("proxy.closed"))
        closed = b.told.of("proxy.closed")[0]
        assert (closed["to_wan"], closed["to_box"]) == (total, total)


async def test_a_side_that_does_not_read_holds_the_other_up(pki):
    total, chunk = 16 * MIB, random.Random(2).randbytes(MIB)
    async with bench(pki) as b:
        b.make = Sink
        box = await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", Sink())
        await until(lambda: b.made)
        emt = b.made[0]
        emt.transport.pause_reading()
        pouring = asyncio.create_task(pour(box, chunk, total))
        held = -1
        while held != b.engine.states()[0]["to_wan"]:  # until nothing moves any more
            held = b.engine.states()[0]["to_wan"]
            await asyncio.sleep(0.3)
        assert held < total - 4 * MIB
        emt.transport.resume_reading()
        await pouring
        await emt.until(total)
        assert emt.hash.hexdigest() == hashlib.sha256(chunk * 16).hexdigest()
