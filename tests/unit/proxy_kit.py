"""A gateway's channels on real sockets, with the market participant and the box they join."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from cryptography import x509
from tls_kit import HOST, Echo

from clsbench.net import tls
from clsbench.net.listener import TlsListener
from clsbench.pki.layout import Pki
from clsbench.pki.names import Peer, fingerprint
from clsbench.smgw.cls.engine import ProxyEngine
from clsbench.smgw.cls.legs import Legs
from clsbench.smgw.cls.socks import SocksPort
from clsbench.smgw.core.parties import ClsProfile, EmtProfile, Endpoint, ProxyProfile
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.rights import Rights

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
        self.steps = []

    def step(self, number, lane_from, lane_to, uuid, *, ok=True, **detail):
        self.steps.append((number, uuid, ok, detail))

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
        async with asyncio.timeout(60):
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

    found.held, found.adopt = held, held.adopt
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
    deadline = asyncio.get_running_loop().time() + 30
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


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
