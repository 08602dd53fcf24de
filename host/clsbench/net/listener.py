"""Accepts and opens TLS connections, each with a named peer; a refusal always has a reason.

asyncio's own servers swallow failed handshakes. Here somebody waits for the end of each
(`_Handshake`), so that every failure can be logged and a slow peer delays nobody. That is an
object where asyncio has a task and a future: sessions begin by the thousand.
Knows no HTTP and no roles: `accept` decides who is welcome and which protocol serves it.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from clsbench.errors import EnvironmentProblem, PeerRefused, PeerSilent
from clsbench.net.tls import Peer, alert_socket, peer_of
from clsbench.net.tls_buffers import shrink_read_buffers
from clsbench.net.tls_reasons import CLOSED, TIMED_OUT, is_refusal, is_timeout, reason_of
from clsbench.net.tls_session import PolicySession

shrink_read_buffers()

P = TypeVar("P", bound=asyncio.BaseProtocol)

Accept = Callable[[Peer], asyncio.BaseProtocol]
Identify = Callable[[ssl.SSLObject | None], Peer]
Refused = Callable[[str, str], None]

PENDING_LIMIT = 64
PENDING_GRACE_S = 1.0  # a handshake this old gives way when PENDING_LIMIT is reached
SHUTDOWN_TIMEOUT_S = 2.0
_BACKLOG = 128
_NO_DESCRIPTOR_PAUSE_S = 0.5


class TlsListener:
    """Listens on one port.

    accept(peer) returns the protocol that serves the peer (an aiohttp `web.Server(...)()`,
    an asyncio.StreamReaderProtocol, ...) or raises PeerRefused; its connection_made gets the
    TLS transport, before any byte that follows the handshake.
    refused(reason, address): called once for each connection that did not get that far, and
    for one that is cut because its peer breaks TLS's rules later; address is "host:port".
    identify(ssl_object): who stands at the other end, or PeerRefused; by default whom the
    certificate names.
    At most `pending_limit` handshakes run at once; one older than PENDING_GRACE_S gives way
    to a newcomer then, so that silent connections cannot shut others out.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        accept: Accept,
        refused: Refused,
        handshake_timeout_s: float = 10,
        pending_limit: int = PENDING_LIMIT,
        identify: Identify = peer_of,
    ):
        self._context = context
        self._identify = identify
        self._accept = accept
        self._refused = refused
        self._timeout_s = handshake_timeout_s
        self._limit = pending_limit
        self._socket: socket.socket | None = None
        self._acceptor: asyncio.Task[None] | None = None
        self._pending: dict[_Handshake, float] = {}  # oldest first: since when, loop time
        self._one_less = asyncio.Event()
        self._live: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()

    async def start(self, host: str, port: int) -> int:
        """Listens and returns the port (chosen when `port` is 0). Raises EnvironmentProblem."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise cannot_listen(host, port, error) from error
        self._socket.setblocking(False)
        _send_at_once(self._socket)  # those that it accepts do as it does
        asyncio.get_running_loop().add_reader(self._socket, self._take)
        return self._socket.getsockname()[1]

    async def close(self) -> None:
        """Stops listening, ends pending handshakes and closes live connections."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
        for handshake in list(self._pending):
            self._cut(handshake)
        if self._acceptor is not None:
            self._acceptor.cancel()
            await asyncio.gather(self._acceptor, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for transport in list(self._live):
            transport.close()
        await asyncio.sleep(0)
        for transport in list(self._live):
            if isinstance(transport, asyncio.Transport):
                transport.abort()

    def _take(self) -> None:
        """Accepts who waits, as many as there are places; else somebody gives way first."""
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        for _ in range(_BACKLOG):
            if len(self._pending) >= self._limit:
                self._pause(self._make_room)
                return
            try:
                sock, address = self._socket.accept()
            except ConnectionError:  # the peer left the queue again
                continue
            except BlockingIOError:
                return
            except OSError:  # out of descriptors: give others time to close theirs
                self._pause(lambda: asyncio.sleep(_NO_DESCRIPTOR_PAUSE_S))
                return
            self._begin(loop, sock, _text(address))

    def _pause(self, until: Callable[[], Awaitable[None]]) -> None:
        """Nobody is accepted before `until` is over."""
        assert self._socket is not None
        asyncio.get_running_loop().remove_reader(self._socket)
        self._acceptor = asyncio.create_task(self._go_on(until))

    async def _go_on(self, until: Callable[[], Awaitable[None]]) -> None:
        await until()
        assert self._socket is not None
        asyncio.get_running_loop().add_reader(self._socket, self._take)

    async def _make_room(self) -> None:
        loop = asyncio.get_running_loop()
        while len(self._pending) >= self._limit:
            oldest, since = next(iter(self._pending.items()))
            left = since + PENDING_GRACE_S - loop.time()
            if left <= 0:
                self._cut(oldest)
                self._refused(f"gave way: {self._limit} handshakes were pending", oldest.address)
                return
            self._one_less.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._one_less.wait()

    def _begin(self, loop: Any, sock: socket.socket, address: str) -> None:
        sock.setblocking(False)
        alert_socket.set([sock])
        begun = _Handshake(self._accept, self._identify, self._over, address)
        try:
            # what `connect_accepted_socket` does, with `begun` in the place of its future
            begun.transport = loop._make_ssl_transport(
                sock,
                begun,
                self._context,
                begun,
                server_side=True,
                ssl_handshake_timeout=self._timeout_s,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            )
        except OSError as error:
            sock.close()
            self._refused(reason_of(error), address)
        else:
            self._pending[begun] = loop.time()

    def _over(self, handshake: "_Handshake", reason: str | None) -> None:
        """The handshake has ended: well, or for a reason; or the session did, after all."""
        if self._pending.pop(handshake, None) is not None:
            self._one_less.set()
        if reason is not None:
            self._refused(_late(reason, self._timeout_s), handshake.address)
        elif handshake.transport is not None:
            self._live.add(handshake.transport)
            handshake.transport = handshake.protocol = None  # the session holds it, for `sinned`

    def _cut(self, handshake: "_Handshake") -> None:
        """Ends a handshake; nothing is told of it any more."""
        del self._pending[handshake]
        handshake.cut()


class _Gate(asyncio.Protocol):
    """Stands in until the handshake is over, then puts the chosen protocol in its place.

    Both happen in the one call of connection_made, so no byte can reach the gate itself.
    """

    __slots__ = ("_choose", "_identify", "_told", "refusal", "protocol")

    def __init__(
        self,
        choose: Accept,
        identify: Identify = peer_of,
        told: Callable[[str], None] | None = None,
    ):
        self._choose = choose
        self._identify = identify
        self._told = told
        self.refusal: str | None = CLOSED
        self.protocol: asyncio.BaseProtocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        try:
            ssl_object = transport.get_extra_info("ssl_object")
            if isinstance(ssl_object, PolicySession):
                ssl_object.told = self._told
            protocol = self._choose(self._identify(ssl_object))
        except PeerRefused as refusal:
            self.refusal = str(refusal)
            transport.close()
            return
        self.refusal = None
        self.protocol = protocol
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class _Handshake(_Gate):
    """The gate of an accepted connection, and the future that asyncio's TLS ends it by.

    over(self, reason): once, None when the peer is served; and again for a sin later.
    """

    __slots__ = ("address", "transport", "ended", "_over")

    def __init__(
        self,
        choose: Accept,
        identify: Identify,
        over: Callable[["_Handshake", str | None], None],
        address: str,
    ):
        super().__init__(choose, identify, self.sinned)
        self.address = address
        self.transport: asyncio.Transport | None = None
        self.ended = False
        self._over = over

    def sinned(self, reason: str) -> None:
        """The peer broke a rule after the handshake."""
        self._over(self, reason)

    def cut(self) -> None:
        """Ends the connection, without a word to `over`."""
        self.ended, self._told = True, None
        if self.transport is not None:
            self.transport.abort()

    # of a future

    def cancelled(self) -> bool:
        return self.ended

    def set_result(self, _: None) -> None:
        self.ended, self._told = True, None  # else it would hold itself, for the collector to find
        self._over(self, self.refusal)

    def set_exception(self, error: BaseException) -> None:
        self.ended, self._told = True, None
        self._over(self, reason_of(error))
        if self.transport is not None:
            self.transport.close()


async def open_tls(
    host: str,
    port: int,
    context: ssl.SSLContext,
    expect_role: str,
    expect_name: str | None,
    protocol_factory: Callable[[], P],
    timeout_s: float = 10,
    server_name: str = "",
) -> tuple[asyncio.Transport, P]:
    """Connects and makes sure who answers, before the protocol sees the connection.

    expect_role: one of pki.names.ROLES; expect_name: the peer's name, without regard to case, or
    None for any. timeout_s holds for the connection and for the handshake, each. server_name:
    sent to the peer (SNI), "" for none.
    Raises PeerRefused when either side refuses the other's certificate, or role or name are not
    the expected ones; PeerSilent when nobody answers in time or the connection just ends, where
    another try may help.
    """
    place = f"{expect_role} {expect_name or ''}".strip() + f" at {host}:{port}"

    def choose(peer: Peer) -> P:
        _check_expected(peer, expect_role, expect_name)
        return protocol_factory()

    gate = _Gate(choose)
    sock = await _connected(host, port, place, timeout_s)
    alert_socket.set([sock])
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: gate,
            sock=sock,
            ssl=context,
            server_hostname=server_name,
            ssl_handshake_timeout=timeout_s,
            ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )
    except OSError as error:
        kind = PeerRefused if is_refusal(error) else PeerSilent
        raise kind(f"{place}: {_late(reason_of(error), timeout_s)}") from error
    if gate.protocol is None:
        raise PeerRefused(f"{place}: {gate.refusal}")
    return transport, cast(P, gate.protocol)


async def open_tls_streams(
    host: str,
    port: int,
    context: ssl.SSLContext,
    expect_role: str,
    expect_name: str | None,
    timeout_s: float = 10,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`open_tls` with a stream reader and writer."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    transport, protocol = await open_tls(
        host,
        port,
        context,
        expect_role,
        expect_name,
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop),
        timeout_s,
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _check_expected(peer: Peer, role: str, name: str | None) -> None:
    if peer.role != role or (name is not None and peer.name.casefold() != name.casefold()):
        raise PeerRefused(f"{peer.cn} answered instead (role {peer.role}, name {peer.name})")


async def _connected(host: str, port: int, place: str, timeout_s: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    _send_at_once(sock)
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except OSError as error:  # TimeoutError is one
        sock.close()
        reason = TIMED_OUT if is_timeout(error) else _system_text(error)
        raise PeerSilent(f"{place}: {_late(reason, timeout_s)}. Is it running?") from error
    except asyncio.CancelledError:
        sock.close()
        raise
    return sock


def cannot_listen(host: str, port: int, error: OSError) -> EnvironmentProblem:
    """What a port that does not open to connections raises."""
    return EnvironmentProblem(
        f"cannot listen on {host}:{port}: {error.strerror}. Choose another port, or 0"
    )


def _send_at_once(sock: socket.socket) -> None:
    """asyncio does so for sockets of its own making alone; else a write that does not fill a
    segment waits 40 ms for the acknowledgement of the one before."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _late(reason: str, timeout_s: float) -> str:
    return f"{reason} ({timeout_s:g} s)" if reason == TIMED_OUT else reason


def _system_text(error: OSError) -> str:
    """The system's own words; asyncio replaces them by its own in strerror."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return str(error.strerror or error).lower()
    return os.strerror(error.errno).lower()


def _text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"
