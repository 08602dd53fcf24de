"""SOCKS-TLS on asyncio: a gateway's port for it, and the client that a control box would be.

The TLS inside the frames is asyncio's own, on a transport that frames; so flow control, closing
and time limits are those of every other connection. TLS 1.2 only: frames tell records by a type
that TLS 1.3 hides. Knows no profiles: `serve` decides.
Source: BSI Detailspezifikationen 2.0, chapter 11.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from clsbench.errors import PeerRefused, PeerSilent
from clsbench.net import socks_tls as socks
from clsbench.net.listener import cannot_listen
from clsbench.net.serving_tasks import ServingTasks
from clsbench.net.socks_tls_transport import FramedTransport, RawSide
from clsbench.net.tls import Peer, alert_socket, peer_of
from clsbench.net.tls_reasons import reason_of

STEP_WITHIN_S = 10.0  # greeting, TLS handshake, request: each
PENDING_LIMIT = 64  # connections that have not come to a request yet
_BACKLOG = 128


@dataclass
class Call:
    """A CLS that asks for a proxied connection; it hears nothing until one of these is called."""

    peer: Peer
    asked: socks.Request | socks.Unsupported
    _transport: asyncio.Transport
    _asking: "_Collecting"

    def accept(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Replies OK; from now on what the CLS sends goes to `protocol`."""
        self._transport.write(socks.reply(socks.OK))
        return self._asking.hand_over(self._transport, protocol)

    def refuse(self, code: int) -> None:
        """Replies `code` and closes."""
        self._transport.write(socks.reply(code))
        self._transport.close()

    @property
    def gone(self) -> bool:
        """Whether the CLS has left meanwhile."""
        return self._transport.is_closing()


Serve = Callable[[Call], Awaitable[None]]
Refused = Callable[[str, str], None]


class SocksTlsListener:
    """Listens on one port.

    serve(call): called in a task of its own once a request is whole. admit(peer): raises
    PeerRefused for one who may not ask at all. refused(reason, address): once for each
    connection that did not come to a request.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        admit: Callable[[Peer], None],
        serve: Serve,
        refused: Refused,
        step_within_s: float = STEP_WITHIN_S,
    ):
        self._context = tls12(context)
        self._admit = admit
        self._serve = serve
        self._refused = refused
        self._step_s = step_within_s
        self._server: asyncio.Server | None = None
        self._tasks = ServingTasks()
        self._pending = 0
        self._open: set[RawSide] = set()

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises EnvironmentProblem."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._new, host, port, backlog=_BACKLOG)
        except OSError as error:
            raise cannot_listen(host, port, error) from error
        return self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Ends listening and every connection."""
        if self._server is not None:
            self._server.close()
        await self._tasks.close()
        for side in list(self._open):
            side.abort()

    def _new(self) -> RawSide:
        return RawSide(socks.parse_greeting, self._connected, self._open.discard)

    def _connected(self, side: RawSide) -> None:
        self._open.add(side)
        if self._pending >= PENDING_LIMIT:
            self._refused(f"{PENDING_LIMIT} connections have not come to a request", side.address)
            side.abort()
            return
        self._tasks.begin(self._run(side))

    async def _run(self, side: RawSide) -> None:
        self._pending += 1
        try:
            call = await self._call(side)
        except PeerRefused as refusal:
            self._refused(str(refusal), side.address)
            side.close()
            return
        except asyncio.CancelledError:
            side.abort()
            raise
        finally:
            self._pending -= 1
        await self._serve(call)

    async def _call(self, side: RawSide) -> Call:
        offered = await _step(side.item, self._step_s, "greeting")
        if isinstance(offered, socks.Fault):
            raise PeerRefused(f"not SOCKS-TLS: {offered.reason}")
        method = socks.choice(cast(socks.Greeting, offered))
        side.write(socks.chosen(method))
        if method != socks.METHOD_TLS:
            raise PeerRefused("method 0x06 (TLS) not offered")
        asking = _Collecting(socks.parse_request)
        transport = await start_tls(side, self._context, asking, True, self._step_s)
        try:
            peer = peer_of(transport.get_extra_info("ssl_object"))
            self._admit(peer)
            asked = await _step(asking.item, self._step_s, "request")
        except PeerRefused:
            transport.close()
            raise
        if isinstance(asked, socks.Fault):
            transport.close()
            raise PeerRefused(f"{peer.cn}: {asked.reason}")
        return Call(peer, cast(socks.Request | socks.Unsupported, asked), transport, asking)


class SocksRefused(PeerRefused):
    """The gateway replied other than OK. code: its reply."""

    def __init__(self, code: int, name: str):
        super().__init__(f"SOCKS-TLS: reply {code} to CONNECT {name}")
        self.code = code


async def open_socks_tls(
    host: str,
    port: int,
    context: ssl.SSLContext,
    name: str,
    protocol: asyncio.Protocol,
    within_s: float = STEP_WITHIN_S,
) -> asyncio.Transport:
    """Connects as a CLS does, through TLS, to the proxy profile called `name`.

    within_s: for each of connection, method, handshake and reply. Raises SocksRefused (the
    next try is due after a random pause of RETRY_MIN_S to RETRY_MAX_S), PeerRefused,
    PeerSilent; ValueError for a name that no profile can have.
    """
    wanted = socks.request(name)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s):
            _, side = await loop.create_connection(
                lambda: RawSide(socks.parse_chosen, _nothing, _nothing), host, port
            )
    except OSError as error:
        raise PeerSilent(f"SOCKS-TLS at {host}:{port}: {error or 'not in time'}") from error
    try:
        side.write(socks.greeting())
        method = await _step(side.item, within_s, "method")
        if method != socks.Chosen(socks.METHOD_TLS):
            raise PeerRefused(f"SOCKS-TLS at {host}:{port} does not take TLS: {method}")
        asking = _Collecting(socks.parse_reply)
        transport = await start_tls(side, tls12(context), asking, False, within_s)
        transport.write(wanted)
        answer = await _step(asking.item, within_s + 20, "reply")
    except (PeerRefused, asyncio.CancelledError):
        side.abort()
        raise
    if not isinstance(answer, socks.Reply):
        side.abort()
        raise PeerRefused(f"SOCKS-TLS: {answer}")
    if answer.code != socks.OK:
        transport.close()
        raise SocksRefused(answer.code, name)
    return asking.hand_over(transport, protocol)


def tls12(context: ssl.SSLContext) -> ssl.SSLContext:
    """The context, held to TLS 1.2."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


async def start_tls(
    side: RawSide,
    context: ssl.SSLContext,
    protocol: asyncio.Protocol,
    server: bool,
    within_s: float,
) -> asyncio.Transport:
    """TLS in frames on a connection whose clear part is over. Raises PeerRefused."""
    framed = FramedTransport(side)
    alert_socket.set([framed.alerts()])  # pyright: ignore[reportArgumentType] - it has `send`
    try:
        transport = await asyncio.get_running_loop().start_tls(
            framed,
            protocol,
            context,
            server_side=server,
            server_hostname=None if server else "",
            ssl_handshake_timeout=within_s,
            ssl_shutdown_timeout=socks.CLOSED_WITHIN_S,
        )
    except OSError as error:
        raise PeerRefused(framed.fault or reason_of(error)) from error
    if transport is None:
        raise PeerRefused(framed.fault or "closed during the TLS handshake")
    protocol.connection_made(transport)
    return transport


async def _step(item: "asyncio.Future[socks.Item]", within_s: float, what: str) -> socks.Item:
    try:
        async with asyncio.timeout(within_s):
            return await asyncio.shield(item)
    except TimeoutError as error:
        raise PeerRefused(f"no {what} within {within_s:g} s") from error
    except OSError as error:
        raise PeerRefused(f"closed before its {what} was whole") from error


def _nothing(_: Any) -> None:
    return None


class _Collecting(asyncio.Protocol):
    """Collects one item inside TLS; what comes behind it waits for the protocol that follows."""

    def __init__(self, parse: socks.Parse):
        self.item: asyncio.Future[socks.Item] = asyncio.get_running_loop().create_future()
        self._once = socks.Once(parse)
        self._early = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.item.done():
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self.item.done():
            self._early += data
            return
        found = self._once.feed(data)
        if found is not None:
            self._early = self._once.rest
            self.item.set_result(found)
            if self._transport is not None:
                self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.item.done():
            self.item.set_exception(ConnectionResetError())
            self.item.exception()  # told already, whoever waits

    def hand_over(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol
    ) -> asyncio.Transport:
        """Puts `protocol` in this one's place."""
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._early:
            protocol.data_received(self._early)
        if not transport.is_reading():
            transport.resume_reading()
        return transport
