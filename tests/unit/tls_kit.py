"""A TLS listener that greets whom it welcomes and keeps what it refused; how to reach it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from clsbench.errors import PeerRefused
from clsbench.net.listener import TlsListener, open_tls_streams
from clsbench.net.tls import Peer, wan_server
from clsbench.net.tls_probe import tls_capabilities
from clsbench.net.tls_reasons import reason_of
from clsbench.pki.layout import Pki

HOST = "127.0.0.1"


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
        async with asyncio.timeout(30):
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


def best_suite() -> str:
    """What two ends of our WAN agree on: of TLS 1.3 where OpenSSL has its curves (3.2)."""
    tls_13 = "TLS 1.3" in tls_capabilities().versions["WAN"]
    return "TLS_AES_128_GCM_SHA256" if tls_13 else "ECDHE-ECDSA-AES128-GCM-SHA256"


async def refused_by(service: Service, client: ssl.SSLContext) -> str:
    """What a refused client hears: in TLS 1.2 within its handshake, in TLS 1.3 behind it."""
    try:
        reader, writer = await open_to(service, client)
    except PeerRefused as refusal:
        return str(refusal)
    with pytest.raises(OSError) as refused:
        async with asyncio.timeout(30):
            await reader.read()
    writer.close()
    return reason_of(refused.value)


async def open_to(
    service: Service, client: ssl.SSLContext, role: str = "GWA", name: str | None = None
):
    return await open_tls_streams(HOST, service.port, client, role, name, timeout_s=30)
