"""What the tests of the TLS matrix put in place for a while: servers, revocation lists, peers."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import matrix_lite as lite
from cryptography import x509
from matrix_bench import HOST, SNI, Roles
from wan_edge import CLS

from clsbench.eventlog import read_events
from clsbench.net.listener import TlsListener
from clsbench.net.reverse import http_client_protocol
from clsbench.net.tls import Identity, wan_server
from clsbench.net.tls_context import Material, Plan, build
from clsbench.net.tls_names import GROUPS, SUITES
from clsbench.net.tls_policy import HAN_SECP256R1, TlsPolicy
from clsbench.pki import authority, crl, files
from clsbench.pki.authority import Issued, Validity
from clsbench.pki.layout import Pki

IN_TIME_S = 40
_NUMBERS = {name: number for number, name in SUITES.items()}
_OF_OPENSSL = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
    "ECDHE-ECDSA-AES128-SHA256": 0xC023,
    "ECDHE-ECDSA-AES256-SHA384": 0xC024,
}


def told_as(suite: str, group: str) -> str:
    """Suite and curve as `lite` tells what was agreed on."""
    number = _OF_OPENSSL.get(suite) or _NUMBERS[suite]
    curve = next(number for number, name in GROUPS.items() if name == group)
    return f"{number:04x} {curve}"


async def in_time(work: Awaitable[str]) -> str:
    async with asyncio.timeout(IN_TIME_S):
        return await work


async def accepted(on: Roles, port: str, suite: str, group: str, how: dict) -> bool:
    """True when tlslite, which offers this suite and curve, is let in, and nobody tells of a
    refusal. In TLS 1.2 it offers the curve of the certificates besides, as it must.

    A role that asks first (over a connection that it accepted) is seen by its event.
    """
    own = "secp256r1" if port == "han" else "brainpoolP256r1"
    beside = () if how.get("version") == (3, 4) else (own,)
    how = how | {"group": group, "beside": beside}
    on.log.new_refusals()
    work = asyncio.to_thread(_come_in, on.ports[port], on.identity(port), how, port)
    agreed, answer = await work
    if port in ("management", "channel"):
        welcome = await on.log.state(port)
    else:
        welcome = answer.startswith(b"HTTP/1.1 ") and on.log.new_refusals() == []
    return welcome and agreed in (told_as(suite, each) for each in (group, *beside))


def _come_in(port: int, identity: Identity, how: dict, role: str) -> tuple[str, bytes]:
    with lite.client(port, SNI, identity, lite.settings(**how)) as connection:
        agreed = f"{connection.session.cipherSuite:04x} {connection.ecdhCurve}"
        if role in ("management", "channel"):
            return agreed, b""
        connection.send(b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return agreed, bytes(connection.read(12, 12))


async def used(on: Roles, policy: TlsPolicy, suite: str, group: str, how: dict) -> bool:
    """True when a server of `policy` that prefers this curve agrees on it with tlslite."""
    han = policy is HAN_SECP256R1
    identity = on.pki.smgw_han if han else on.pki.gwa.tls
    material = Material(identity, on.pki.han_trust if han else on.pki.wan_trust)
    groups = (group, *(each for each in policy.groups if each != group))
    context = build(Plan(ssl.PROTOCOL_TLS_SERVER, policy, material, SNI, groups))
    refusals: list[str] = []
    listener = TlsListener(
        context, lambda _peer: asyncio.Protocol(), lambda reason, _: refusals.append(reason)
    )
    port = await listener.start(HOST, 0)
    client = on.pki.cls(CLS) if han else on.pki.smgw.tls
    beside = ("secp256r1" if han else "brainpoolP256r1",)
    how = how | {"group": group, "beside": beside}
    agreed, _ = await asyncio.to_thread(_come_in, port, client, how, "channel")
    await listener.close()
    return refusals == [] and agreed == told_as(suite, group)


@contextmanager
def listening(on: Roles) -> Iterator[socket.socket]:
    """The port at which our clients are made to call."""
    with socket.create_server((HOST, on.evil_port)) as server:
        yield server


@asynccontextmanager
async def answering(on: Roles, flight: bytes) -> AsyncIterator[int]:
    """A server that answers any hello with `flight`, then listens, or hangs up when it is ""."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read(4096)
            writer.write(flight)
            if flight:
                await reader.read(4096)
        writer.close()

    server = await asyncio.start_server(answer, HOST, on.evil_port)
    try:
        yield on.evil_port
    finally:
        server.close()


@asynccontextmanager
async def serving(on: Roles, identity: Identity) -> AsyncIterator[int]:
    """A server with this certificate, of our own making, that lets everybody in."""
    context = wan_server(identity, on.pki.wan_trust)
    listener = TlsListener(
        context, lambda _peer: http_client_protocol(lambda _stream: None), lambda *_: None
    )
    await listener.start(HOST, on.evil_port)
    try:
        yield on.evil_port
    finally:
        await listener.close()


@contextmanager
def swapped_list(on: Roles, name: str, *, wan: bool) -> Iterator[None]:
    """Puts a bad revocation list in the place of the good one, for a while."""
    pki, foreign = on.pki, Pki.open(on.folder / "foreign")
    path = pki.wan_crl if wan else pki.han_crl
    good = path.read_bytes()
    issuers = pki.wan_authorities() if wan else [pki.han_ca()]
    strangers = foreign.wan_authorities() if wan else [foreign.han_ca()]
    files.write_atomically(path, _bad(name, issuers, strangers), 0o644)
    try:
        yield
    finally:
        files.write_atomically(path, good, 0o644)


def _bad(name: str, issuers: list[Issued], strangers: list[Issued]) -> bytes:
    now = datetime.now(UTC).replace(microsecond=0)
    span = Validity(now - timedelta(days=2), now + timedelta(days=1))
    if name == "list-expired":
        past = Validity(now - timedelta(days=9), now - timedelta(hours=1))
        return crl.pem_of([crl.new_list(each, (), past, 9) for each in issuers])
    if name == "list-missing":  # that of the root alone; in the HAN, that of somebody else
        lonely = issuers[1:] or [Issued(_renamed(strangers[0]), strangers[0].key)]
        return crl.pem_of([crl.new_list(each, (), span, 9) for each in lonely])
    forged = [Issued(own.certificate, other.key) for own, other in zip(issuers, strangers)]
    return crl.pem_of([crl.new_list(each, (), span, 9) for each in forged])


def _renamed(issued: Issued) -> x509.Certificate:
    return authority.new_ca(
        "somebody.CA", type(issued.key.curve), authority.validity(1)
    ).certificate


def certificates(identity: Identity) -> list[x509.Certificate]:
    """A chain as its file has it."""
    return x509.load_pem_x509_certificates(identity.cert.read_bytes())


def all_events(on: Roles) -> list[dict]:
    """Everything told until now."""
    return list(read_events(on.folder / "events"))
