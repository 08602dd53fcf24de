"""Who gets through the TLS listener, who does not, and that both sides are told why."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from clsbench.errors import BadInput, EnvironmentProblem, PeerRefused, PeerSilent
from clsbench.net import listener as listening
from clsbench.net.listener import TlsListener, open_tls, open_tls_streams
from clsbench.net.tls import (
    Identity,
    Peer,
    han_client,
    han_server,
    peer_of,
    tls_capabilities,
    wan_client,
    wan_server,
)
from clsbench.pki.authority import Validity
from clsbench.pki.layout import Pki

HOST = "127.0.0.1"
NOW = datetime.now(UTC)
PAST = Validity(NOW - timedelta(hours=12), NOW - timedelta(hours=1))
FUTURE = Validity(NOW + timedelta(hours=1), NOW + timedelta(hours=12))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.init(tmp_path_factory.mktemp("pki") / "ours")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.init(tmp_path_factory.mktemp("pki") / "foreign")


class Echo(asyncio.Protocol):
    """Greets as the connection is made, then sends back what it receives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"hello ")

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Service:
    """A TLS listener that welcomes some roles, with what it refused."""

    def __init__(self, context: ssl.SSLContext, welcome: set[str], **options: float):
        self.welcome = welcome
        self.peers: list[Peer] = []
        self.refusals: list[str] = []
        self.refused_one = asyncio.Event()
        self.make: Callable[[], asyncio.BaseProtocol] = Echo
        self.listener = TlsListener(context, self.accept, self.refused, **options)  # type: ignore[arg-type]
        self.port = 0

    def accept(self, peer: Peer) -> asyncio.BaseProtocol:
        if peer.role not in self.welcome:
            raise PeerRefused(f"role {peer.role} of {peer.cn} has no business here")
        self.peers.append(peer)
        return self.make()

    def refused(self, reason: str, address: str) -> None:
        assert address.startswith("127.0.0.1:")
        self.refusals.append(reason)
        self.refused_one.set()

    async def refusal(self) -> str:
        async with asyncio.timeout(5):
            await self.refused_one.wait()
        assert len(self.refusals) == 1
        return self.refusals[0]


@asynccontextmanager
async def running(
    context: ssl.SSLContext, *welcome: str, **options: float
) -> AsyncIterator[Service]:
    service = Service(context, set(welcome), **options)
    service.port = await service.listener.start(HOST, 0)
    try:
        yield service
    finally:
        await service.listener.close()


def gwa_service(pki: Pki) -> ssl.SSLContext:
    return wan_server(pki.gwa.tls, pki.wan_trust)


async def open_to(
    service: Service, client: ssl.SSLContext, role: str = "GWA", name: str | None = None
):
    return await open_tls_streams(HOST, service.port, client, role, name, timeout_s=5)


async def test_welcome_peer_is_named_and_served(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        client = wan_client(pki.smgw.tls, pki.wan_trust)
        reader, writer = await open_to(service, client, name="gwa-test")
        writer.write(b"gateway")
        assert await reader.readexactly(13) == b"hello gateway"
        assert writer.get_extra_info("cipher")[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        seen = service.peers[0]
        assert (seen.cn, seen.name, seen.role) == ("ETST0010000001.SMGW", "ETST0010000001", "SMGW")
        assert len(bytes.fromhex(seen.fingerprint)) == 32
        writer.close()
    assert service.refusals == []


async def test_device_of_the_han_is_named_in_the_form_printed_on_it(pki: Pki):
    async with running(han_server(pki.smgw_han, pki.han_trust), "CLS") as service:
        client = han_client(pki.cls("ETST0020000017"), pki.han_trust)
        reader, writer = await open_to(service, client, "SMGW", "etst0010000001")
        assert await reader.readexactly(6) == b"hello "
        assert service.peers[0].name == "ETST0020000017"
        writer.close()


async def test_client_without_certificate_is_refused(pki: Pki):
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.maximum_version = ssl.TLSVersion.TLSv1_2
    bare.set_ecdh_curve("brainpoolP256r1")
    bare.load_verify_locations(pki.wan_trust)
    async with running(gwa_service(pki), "SMGW") as service:
        with pytest.raises(PeerRefused, match="no certificate shown"):
            await open_to(service, bare)
        assert await service.refusal() == "no certificate shown"


@pytest.mark.parametrize(
    ("span", "ours", "theirs"),
    [
        (PAST, "certificate expired", "refused: certificate expired"),
        (FUTURE, "certificate not yet valid", "refused: bad certificate .*not yet valid"),
    ],
)
async def test_certificate_outside_its_time_is_refused(
    pki: Pki, tmp_path: Path, span: Validity, ours: str, theirs: str
):
    identity = pki.issue_wan_to(tmp_path / "late", "ETST0010000001.SMGW", span=span)
    async with running(gwa_service(pki), "SMGW") as service:
        with pytest.raises(PeerRefused, match=theirs):
            await open_to(service, wan_client(identity, pki.wan_trust))
        assert await service.refusal() == ours


async def test_certificate_of_an_unknown_ca_is_refused(pki: Pki, foreign: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        with pytest.raises(PeerRefused, match="refused: unknown CA"):
            await open_to(service, wan_client(foreign.smgw.tls, pki.wan_trust))
        assert await service.refusal() == "unknown CA"


async def test_server_of_an_unknown_ca_is_refused_by_the_client_and_learns_it(
    pki: Pki, foreign: Pki
):
    async with running(wan_server(foreign.gwa.tls, pki.wan_trust), "SMGW") as service:
        with pytest.raises(PeerRefused, match="GWA at 127.0.0.1:[0-9]+: unknown CA"):
            await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
        assert await service.refusal() == "the other side refused: unknown CA"


async def test_cls_certificate_at_a_wan_service_is_refused(pki: Pki):
    """It comes from the HAN CA, on another curve: the handshake itself must fail."""
    async with running(gwa_service(pki), "SMGW", "CLS") as service:
        with pytest.raises(PeerRefused):
            await open_to(service, wan_client(pki.cls("ETST0020000017"), pki.wan_trust))
        assert await service.refusal() in (
            "unknown CA",
            "certificate is on a curve not allowed here",
        )
    assert service.peers == []


async def test_wrong_role_is_refused_after_the_handshake(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        client = wan_client(pki.emt("flexmarkt").tls, pki.wan_trust)
        reader, writer = await open_to(service, client)
        assert await reader.read() == b""
        assert await service.refusal() == "role EMT of flexmarkt.EMT has no business here"
        writer.close()


async def test_common_name_without_role_is_refused(pki: Pki, tmp_path: Path):
    identity = pki.issue_wan_to(tmp_path / "odd", "someone.example")
    async with running(gwa_service(pki), "SMGW") as service:
        reader, writer = await open_to(service, wan_client(identity, pki.wan_trust))
        assert await reader.read() == b""
        assert "'someone.example' names no role" in await service.refusal()
        writer.close()


async def test_signature_certificate_does_not_open_tls(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        reader, writer = await open_to(service, wan_client(pki.smgw.sig, pki.wan_trust))
        assert await reader.read() == b""
        assert (
            await service.refusal() == "certificate of ETST0010000001.SMGW is for sig, not for TLS"
        )
        writer.close()


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\x00garbage" * 40])
async def test_plain_bytes_instead_of_tls_are_refused(pki: Pki, first: bytes):
    async with running(gwa_service(pki), "SMGW") as service:
        reader, writer = await asyncio.open_connection(HOST, service.port)
        writer.write(first)
        assert (await service.refusal()).startswith("not TLS")
        writer.close()


async def test_newer_tls_version_alone_is_refused(pki: Pki):
    newer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    newer.check_hostname = False
    newer.minimum_version = ssl.TLSVersion.TLSv1_3
    async with running(gwa_service(pki), "SMGW") as service:
        with pytest.raises(PeerRefused, match="refused: TLS version not allowed"):
            await open_to(service, newer)
        assert await service.refusal() == "TLS version not allowed"


async def test_silent_client_is_refused_in_time(pki: Pki):
    async with running(gwa_service(pki), "SMGW", handshake_timeout_s=0.2) as service:
        reader, writer = await asyncio.open_connection(HOST, service.port)
        assert await service.refusal() == "TLS connection not made in time (0.2 s)"
        assert await reader.read() == b""
        writer.close()


async def test_client_that_hangs_up_in_the_handshake_is_reported(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        _, writer = await asyncio.open_connection(HOST, service.port)
        writer.close()
        assert await service.refusal() == "closed during the TLS handshake"


async def test_silent_clients_delay_nobody(pki: Pki):
    async with running(gwa_service(pki), "SMGW", handshake_timeout_s=30) as service:
        silent = [await asyncio.open_connection(HOST, service.port) for _ in range(20)]
        async with asyncio.timeout(2):
            _, writer = await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
        for _, other in (*silent, (None, writer)):
            other.close()


async def test_oldest_silent_client_gives_way_when_all_places_are_taken(pki: Pki, monkeypatch):
    monkeypatch.setattr(listening, "PENDING_GRACE_S", 0.1)
    options = {"handshake_timeout_s": 30, "pending_limit": 2}
    async with running(gwa_service(pki), "SMGW", **options) as service:
        silent = [await asyncio.open_connection(HOST, service.port) for _ in range(5)]
        async with asyncio.timeout(5):
            _, writer = await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
        assert set(service.refusals) == {"gave way: 2 handshakes were pending"}
        assert len(service.peers) == 1
        for _, other in (*silent, (None, writer)):
            other.close()


async def test_bytes_sent_with_the_last_flight_of_the_handshake_arrive(pki: Pki):
    """A blocking client in a thread sends the moment its handshake is over."""

    def exchange(port: int) -> bytes:
        context = wan_client(pki.smgw.tls, pki.wan_trust)
        with (
            socket.create_connection((HOST, port), timeout=5) as sock,
            context.wrap_socket(sock) as tls,
        ):
            tls.sendall(b"at once" * 3000)
            received = b""
            while len(received) < 6 + 21000:
                received += tls.recv(65536)
            return received

    async with running(gwa_service(pki), "SMGW") as service:
        for _ in range(5):
            received = await asyncio.to_thread(exchange, service.port)
            assert received == b"hello " + b"at once" * 3000


async def test_stream_reader_protocol_can_serve(pki: Pki):
    served = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.set_result(peer_of(writer.get_extra_info("ssl_object")).role)
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async with running(gwa_service(pki), "SMGW") as service:
        service.make = lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), serve)
        reader, writer = await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
        writer.write(b"line\n")
        assert await reader.read() == b"LINE\n"
        assert await served == "SMGW"
        writer.close()


async def test_aiohttp_server_can_serve_and_sees_the_peer(pki: Pki):
    async def handle(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        peer = peer_of(request.transport.get_extra_info("ssl_object"))
        return web.json_response({"peer": peer.name, "got": await request.text()})

    server = web.Server(handler=handle)
    async with running(han_server(pki.smgw_han, pki.han_trust), "CLS") as service:
        service.make = server
        context = han_client(pki.cls("ETST0020000017"), pki.han_trust)
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:
            for text in ("one", "two"):
                answer = await session.post(f"https://{HOST}:{service.port}/", data=text)
                assert await answer.json() == {"peer": "ETST0020000017", "got": text}
        assert len(service.peers) == 1  # keep-alive: both on one connection
        await server.shutdown()


async def test_opener_can_be_the_http_server(pki: Pki):
    """As on the WAN: the SMGW opens, the GWA asks."""

    async def handle(request: web.BaseRequest) -> web.Response:
        return web.Response(text=f"answer to {request.path}")

    asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /status HTTP/1.1\r\nHost: smgw\r\nConnection: close\r\n\r\n")
        asked.set_result(await reader.read())
        writer.close()

    server = web.Server(handle)
    async with running(gwa_service(pki), "SMGW") as service:
        service.make = lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), ask)
        client = wan_client(pki.smgw.tls, pki.wan_trust)
        await open_tls(HOST, service.port, client, "GWA", None, server)
        assert (await asked).endswith(b"answer to /status")
        await server.shutdown()


@pytest.mark.parametrize(("role", "name"), [("EMT", None), ("GWA", "gwa-other")])
async def test_client_refuses_another_party_than_expected(pki: Pki, role: str, name: str | None):
    async with running(gwa_service(pki), "SMGW") as service:
        client = wan_client(pki.smgw.tls, pki.wan_trust)
        with pytest.raises(PeerRefused, match="gwa-test.GWA answered instead"):
            await open_to(service, client, role, name)


async def test_nobody_listening_is_silence():
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with pytest.raises(PeerSilent, match=f"GWA gwa-test at {HOST}:{port}: .*refused"):
        await open_tls_streams(HOST, port, context, "GWA", "gwa-test")


async def test_server_that_never_speaks_is_silence(pki: Pki):
    with socket.create_server((HOST, 0)) as mute:
        context = wan_client(pki.smgw.tls, pki.wan_trust)
        port = mute.getsockname()[1]
        with pytest.raises(PeerSilent, match=r"not made in time \(0.2 s\)"):
            await open_tls_streams(HOST, port, context, "GWA", None, timeout_s=0.2)


async def test_failed_handshake_inside_a_served_connection_alerts_only_its_own_peer(
    pki: Pki, foreign: Pki
):
    """A task born in a served connection opens another one, which fails: no stray bytes."""
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    client = wan_client(pki.smgw.tls, pki.wan_trust)

    async with running(wan_server(foreign.gwa.tls, foreign.wan_trust), "SMGW") as other:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await asyncio.open_connection(HOST, other.port, ssl=client, server_hostname="")
            except ssl.SSLError as error:
                outcome.set_result(error.reason)
            writer.write(b"still whole\n")
            writer.close()

        async with running(gwa_service(pki), "SMGW") as service:
            service.make = lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), serve)
            reader, writer = await open_to(service, client)
            assert await reader.read() == b"still whole\n"
            assert await outcome == "CERTIFICATE_VERIFY_FAILED"
            writer.close()


async def test_close_ends_live_connections_and_frees_the_port(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        reader, writer = await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
        await reader.readexactly(6)
        await service.listener.close()
        async with asyncio.timeout(2):
            assert await reader.read() == b""
        with pytest.raises(PeerSilent):
            await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
        writer.close()


async def test_taken_port_is_named(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        second = TlsListener(gwa_service(pki), service.accept, service.refused)
        with pytest.raises(EnvironmentProblem, match=f"cannot listen on {HOST}:{service.port}"):
            await second.start(HOST, service.port)


def test_missing_or_wrong_files_are_named(pki: Pki, tmp_path: Path):
    with pytest.raises(BadInput, match="gone.pem: no such file"):
        wan_server(pki.gwa.tls, tmp_path / "gone.pem")
    with pytest.raises(BadInput, match="not a certificate with its unencrypted private key"):
        wan_server(Identity(pki.gwa.tls.cert, pki.smgw.tls.key), pki.wan_trust)
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(BadInput, match="not a PEM file of trusted certificates"):
        wan_server(pki.gwa.tls, empty)


def test_contexts_offer_the_four_suites_and_nothing_else(pki: Pki):
    for context in (
        wan_client(pki.smgw.tls, pki.wan_trust),
        han_server(pki.smgw_han, pki.han_trust),
    ):
        offered = {s["name"] for s in context.get_ciphers() if s["protocol"] == "TLSv1.2"}
        assert offered == {
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES128-SHA256",
            "ECDHE-ECDSA-AES256-SHA384",
        }
        assert context.maximum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_RENEGOTIATION and context.options & ssl.OP_NO_TICKET


def test_capabilities_come_from_a_real_handshake():
    found = tls_capabilities()
    assert found.openssl == ssl.OPENSSL_VERSION
    assert found.brainpool is (found.problem == "")
    assert found.cipher == ("ECDHE-ECDSA-AES128-GCM-SHA256" if found.brainpool else "")


def test_peer_of_plain_connection_is_refused():
    with pytest.raises(PeerRefused, match="no certificate shown"):
        peer_of(None)
