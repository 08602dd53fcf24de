"""Sessions: none is resumed, what the server shows of itself, and one buffer for all of them."""

import asyncio
import contextlib
import gc
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tls_kit import Echo, open_to, running

from clsbench.net import tls_openssl
from clsbench.net.listener import _Handshake
from clsbench.net.tls import PolicyContext, han_client, han_server
from clsbench.net.tls_reasons import Explained
from clsbench.net.tls_session import MAX_KNOWN, PolicySession
from clsbench.pki.layout import DEFAULT_CLS, Pki

STREAMS, ROUNDS = 6, 20


class Leaving(Echo):
    """Lets go of its connection when it ends, as a server does."""

    def __init__(self, gone: asyncio.Event):
        self._gone = gone

    def connection_lost(self, exc: Exception | None) -> None:
        del self.transport
        self._gone.set()


def resuming_client(pki: Pki, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.minimum_version = made.maximum_version = version
    made.load_verify_locations(pki.han_trust)
    made.load_cert_chain(pki.cls(DEFAULT_CLS).cert, pki.cls(DEFAULT_CLS).key)
    return made


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLObject, ssl.SSLObject, bytes]:
    """Both sides after the handshake, the client's first, and the server's first flight.

    OpenSSL forgets a session whose server's side goes away without a farewell.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    calling = client.wrap_bio(to_client, to_server, session=session)
    flight = b""
    for side in (calling, serving, calling, serving, calling):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
        if side is serving and not flight:
            flight = to_client.read()
            to_client.write(flight)
    return calling, serving, flight


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_of_before_is_not_resumed(pki: Pki, version: ssl.TLSVersion):
    server, client = han_server(pki.smgw_han, pki.han_trust), resuming_client(pki, version)
    if version > server.maximum_version:
        pytest.skip("TLS 1.3 is off here: this OpenSSL has no way to set its suites")
    first, kept, _ = shake_hands(server, client)
    with contextlib.suppress(ssl.SSLWantReadError):
        first.read()  # tickets of TLS 1.3 come behind the handshake
    assert not kept.session_reused and (first.session is None or not first.session.has_ticket)
    again, _, _ = shake_hands(server, client, first.session)
    assert again.version() == version.name.replace("_", ".") and not again.session_reused


@pytest.mark.skipif(not tls_openssl.can_set_all(), reason="OpenSSL cannot be called by address")
def test_a_session_that_openssl_would_resume_is_refused(pki: Pki, monkeypatch):
    monkeypatch.setattr(tls_openssl, "keep_no_sessions", lambda context: None)
    server, client = han_server(pki.smgw_han, pki.han_trust), resuming_client(pki)
    first, kept, _ = shake_hands(server, client)
    with pytest.raises(Explained, match="resumption of a session"):
        shake_hands(server, client, first.session)
    assert not kept.session_reused


def test_the_server_shows_its_issuer_built_before_or_in_the_handshake(pki: Pki, monkeypatch):
    def shown() -> bytes:
        server = han_server(pki.smgw_han, pki.han_trust)
        return shake_hands(server, resuming_client(pki))[2]

    issuer = x509.load_pem_x509_certificate(pki.han_trust.read_bytes()).public_bytes(Encoding.DER)
    before = shown()
    monkeypatch.setattr(tls_openssl, "keep_own_chain", lambda context: None)
    for flight in (before, shown()):
        assert flight.count(issuer) == 1


def test_hellos_that_broke_no_rule_are_known_and_few(pki: Pki):
    server, client = han_server(pki.smgw_han, pki.han_trust), resuming_client(pki)
    for _ in range(3):
        shake_hands(server, client)
    assert isinstance(server, PolicyContext) and len(server.known) == 1
    server.known.update(bytes((number,)) for number in range(MAX_KNOWN))
    client.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    shake_hands(server, client)
    assert len(server.known) == 1


async def test_what_connections_read_at_the_same_time_stays_apart(pki: Pki):
    """Each sends blocks of its own letter, longer than a record, without waiting for others."""

    async def talk(port_of, letter: bytes) -> bytes:
        client = han_client(pki.cls(DEFAULT_CLS), pki.han_trust)
        reader, writer = await open_to(port_of, client, "SMGW")
        assert await reader.readexactly(6) == b"hello "
        got = b""
        for _ in range(ROUNDS):
            writer.write(letter * 40_000)
            got += await reader.readexactly(40_000)
        writer.close()
        return got

    async with running(han_server(pki.smgw_han, pki.han_trust), "CLS") as service:
        letters = [bytes((65 + number,)) for number in range(STREAMS)]
        for letter, got in zip(
            letters, await asyncio.gather(*(talk(service, letter) for letter in letters))
        ):
            assert got == letter * (40_000 * ROUNDS)


async def test_a_session_that_has_ended_leaves_nothing_for_the_collector(pki: Pki):
    """Thousands come and go; what waits for Python's collector would wait long."""

    def standing() -> int:
        return sum(isinstance(each, PolicySession | _Handshake) for each in gc.get_objects())

    async def visit() -> None:
        client = han_client(pki.cls(DEFAULT_CLS), pki.han_trust)
        reader, writer = await open_to(service, client, "SMGW")
        await reader.readexactly(6)
        assert standing() == before + 3  # two sides, and who awaited the handshake
        writer.close()
        await writer.wait_closed()

    gone = asyncio.Event()
    async with running(han_server(pki.smgw_han, pki.han_trust), "CLS") as service:
        service.make = lambda: Leaving(gone)
        gc.collect()
        before = standing()
        gc.disable()
        try:
            await visit()
            await asyncio.wait_for(gone.wait(), 30)
            for _ in range(10):  # asyncio's last steps
                await asyncio.sleep(0)
            assert standing() == before
        finally:
            gc.enable()
