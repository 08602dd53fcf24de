"""SOCKS-TLS over sockets: who comes to a request, who is refused and why, how it ends."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest
from tls_kit import HOST, Echo

from clsbench.errors import PeerRefused
from clsbench.net import socks_tls as socks
from clsbench.net.socks_tls_io import Call, SocksRefused, SocksTlsListener, open_socks_tls
from clsbench.net.tls import han_client, han_server
from clsbench.pki.layout import Pki

SMGW, CLS = "ETST0010000001", "ETST0020000017"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    return Pki.init(folder, SMGW, "gwa-test", ["flexmarkt"], [CLS])


class Server:
    """Answers OK to `echo`, else the reply that `name` stands for."""

    def __init__(self):
        self.refusals: list[str] = []
        self.calls: list[Call] = []
        self.lost = asyncio.Event()

    def admit(self, peer):
        if peer.role != "CLS":
            raise PeerRefused(f"role {peer.role} may not ask")

    async def serve(self, call):
        self.calls.append(call)
        if isinstance(call.asked, socks.Unsupported):
            call.refuse(call.asked.reply)
        elif call.asked.host == "echo":
            call.accept(Echo())
        else:
            call.refuse(socks.NO_PROFILE)

    def refused(self, reason, address):
        assert address.startswith("127.0.0.1:")
        self.refusals.append(reason)


@asynccontextmanager
async def serving(pki, **options):
    server = Server()
    context = han_server(pki.smgw_han, pki.han_trust)
    listener = SocksTlsListener(context, server.admit, server.serve, server.refused, **options)
    server.port = await listener.start(HOST, 0)
    try:
        yield server
    finally:
        await listener.close()


class Heard(asyncio.Protocol):
    def __init__(self):
        self.data = b""
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()

    def data_received(self, data):
        self.data += data
        self.changed.set()

    def connection_lost(self, exc):
        self.ended.set()

    async def until(self, size):
        async with asyncio.timeout(30):
            while len(self.data) < size:
                self.changed.clear()
                await self.changed.wait()
        return self.data


def client(pki):
    return han_client(pki.cls(CLS), pki.han_trust)


async def test_bytes_go_both_ways_behind_a_connect(pki):
    async with serving(pki) as server:
        heard = Heard()
        transport = await open_socks_tls(HOST, server.port, client(pki), "echo", heard)
        payload = bytes(range(256)) * 2000
        transport.write(payload)
        assert await heard.until(6 + len(payload)) == b"hello " + payload
        assert server.calls[0].peer.name == CLS
        transport.close()
        async with asyncio.timeout(socks.CLOSED_WITHIN_S):
            await heard.ended.wait()
        assert server.refusals == []


async def test_a_refusal_carries_its_code_and_ends_the_connection(pki):
    async with serving(pki) as server:
        with pytest.raises(SocksRefused) as refused:
            await open_socks_tls(HOST, server.port, client(pki), "nobody", Heard())
        assert refused.value.code == socks.NO_PROFILE


async def raw(server, *sent: bytes) -> bytes:
    """Everything the server says in the clear to these bytes, until it hangs up."""
    reader, writer = await asyncio.open_connection(HOST, server.port)
    for data in sent:
        writer.write(data)
        await asyncio.sleep(0.02)
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


async def test_without_tls_among_the_methods_nothing_follows(pki):
    async with serving(pki) as server:
        assert await raw(server, b"\x05\x02\x00\x02") == b"\x05\xff"
        assert server.refusals == ["method 0x06 (TLS) not offered"]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ((b"GET / HTTP/1.1\r\n\r\n",), "SOCKS version 71"),
        ((b"\x05\x00",), "no method offered"),
        ((b"\x05\x01\x06", b"\x02\x01\x00\x00"), "frame of version 2"),
        ((b"\x05\x01\x06\x01\x02\x00\x00",), "frame of state 2"),
        ((b"\x05\x01\x06", socks.frame(1, b"no TLS at all")), "not TLS"),
    ],
)
async def test_what_is_no_socks_tls_is_refused_with_its_reason(pki, sent, reason):
    async with serving(pki) as server:
        await raw(server, *sent)
        assert len(server.refusals) == 1 and reason in server.refusals[0]


async def test_who_says_nothing_is_cut_in_time(pki):
    async with serving(pki, step_within_s=0.1) as server:
        assert await raw(server) == b""
        assert await raw(server, b"\x05\x01\x06") == b"\x05\x06"
        assert "no greeting within 0.1 s" in server.refusals[0] and len(server.refusals) == 2


async def test_the_gateway_itself_may_not_ask(pki):
    context = han_client(pki.smgw_han, pki.han_trust)
    async with serving(pki) as server:
        with pytest.raises(PeerRefused):
            await open_socks_tls(HOST, server.port, context, "echo", Heard(), 2)
        assert server.refusals == ["role SMGW may not ask"]


async def test_without_a_certificate_nobody_comes_to_a_request(pki):
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(pki.han_trust)
    async with serving(pki) as server:
        with pytest.raises(PeerRefused):
            await open_socks_tls(HOST, server.port, bare, "echo", Heard(), 2)
        assert server.refusals == ["no certificate shown"] and not server.calls
