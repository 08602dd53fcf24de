"""What the TLS listener serves once a peer is welcome, and how it lives with the silent."""

import asyncio
import socket
import ssl

import aiohttp
import pytest
from aiohttp import web
from tls_kit import HOST, best_suite, gwa_service, open_to, running

from clsbench.errors import EnvironmentProblem, PeerSilent
from clsbench.net import listener as listening
from clsbench.net.listener import TlsListener, open_tls, open_tls_streams
from clsbench.net.tls import han_client, han_server, peer_of, wan_client
from clsbench.pki.layout import Pki


async def test_welcome_peer_is_named_and_served(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        client = wan_client(pki.smgw.tls, pki.wan_trust)
        reader, writer = await open_to(service, client, name="gwa-test")
        writer.write(b"gateway")
        assert await reader.readexactly(13) == b"hello gateway"
        assert writer.get_extra_info("cipher")[0] == best_suite()
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


async def test_neither_side_waits_for_acknowledgements_before_it_sends(pki: Pki):
    served = asyncio.get_running_loop().create_future()

    class Served(asyncio.Protocol):
        def connection_made(self, transport):
            served.set_result(transport)

    listener = TlsListener(gwa_service(pki), lambda peer: Served(), lambda *told: None)
    port = await listener.start(HOST, 0)
    client = wan_client(pki.smgw.tls, pki.wan_trust)
    transport, _ = await open_tls(HOST, port, client, "GWA", None, asyncio.Protocol)
    for each in (transport, await served):
        sock = each.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    transport.close()
    await listener.close()


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
    async with running(gwa_service(pki), "SMGW", handshake_timeout_s=600) as service:
        silent = [await asyncio.open_connection(HOST, service.port) for _ in range(20)]
        async with asyncio.timeout(30):
            _, writer = await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
        for _, other in (*silent, (None, writer)):
            other.close()


async def test_oldest_silent_client_gives_way_when_all_places_are_taken(pki: Pki, monkeypatch):
    monkeypatch.setattr(listening, "PENDING_GRACE_S", 0.1)
    options = {"handshake_timeout_s": 600, "pending_limit": 2}
    async with running(gwa_service(pki), "SMGW", **options) as service:
        silent = [await asyncio.open_connection(HOST, service.port) for _ in range(5)]
        async with asyncio.timeout(30):
            reader, writer = await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
            assert await reader.readexactly(6) == b"hello "
        assert set(service.refusals) == {"gave way: 2 handshakes were pending"}
        assert len(service.peers) == 1
        for _, other in (*silent, (None, writer)):
            other.close()


async def test_bytes_sent_with_the_last_flight_of_the_handshake_arrive(pki: Pki):
    """A blocking client in a thread sends the moment its handshake is over."""

    def exchange(port: int) -> bytes:
        context = wan_client(pki.smgw.tls, pki.wan_trust)
        with (
            socket.create_connection((HOST, port), timeout=60) as sock,
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


async def test_close_ends_live_connections_and_frees_the_port(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        reader, writer = await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
        await reader.readexactly(6)
        await service.listener.close()
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        with pytest.raises(PeerSilent):
            await open_to(service, wan_client(pki.smgw.tls, pki.wan_trust))
        writer.close()


async def test_taken_port_is_named(pki: Pki):
    async with running(gwa_service(pki), "SMGW") as service:
        second = TlsListener(gwa_service(pki), service.accept, service.refused)
        with pytest.raises(EnvironmentProblem, match=f"cannot listen on {HOST}:{service.port}"):
            await second.start(HOST, service.port)
