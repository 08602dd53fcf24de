"""One HTTP connection in the HAN: it knows its visitor, and takes no more than the HAN allows.

A connection on which no whole request comes in time is cut, and so is one that has lasted
MAX_SESSION_S, after the answer in hand. Whoever came without a certificate is a guest until a
password was right: a guest is cut after GUEST_S, and of too many guests the oldest goes, so that
silent ones shut nobody out. Of bytes that are no HTTP somebody is told. Whoever has a
certificate gets an HTTP server of aiohttp's with the first byte, not with the handshake.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

from clsbench.net.reverse import MAX_SESSION_S
from clsbench.net.telling import TellingConnection
from clsbench.net.tls_session import session_s
from clsbench.pki.names import Peer

MAX_LINE_BYTES = 2048
MAX_HEADERS = 64
IDLE_S = 60.0  # without a whole request header; the timer starts anew with each answer
PERSON_IDLE_S = 600.0  # the same for people, as real gateways have it
GUEST_S = 30.0
MAX_GUESTS = 128

GUEST = Peer("", "guest", "", "")

Told = Callable[[Peer, int, str], None]


class Visitor:
    """Who is at the other end of a connection. proven: log-ins whose password was right on it."""

    def __init__(self, peer: Peer):
        self.peer = peer
        self.address = ""
        self.proven: set[str] = set()
        self.on_proven: Callable[[], None] = lambda: None

    def prove(self, login: str) -> bool:
        """Notes that the password was right; True when it was the first time."""
        first = login not in self.proven
        self.proven.add(login)
        self.on_proven()
        return first


VisitorHandler = Callable[[Visitor, web.BaseRequest], Awaitable[web.StreamResponse]]


class HanServer:
    """Makes a connection for each peer. told(peer, status, reason): what aiohttp refused."""

    def __init__(self, handler: VisitorHandler, told: Told):
        self._told = told
        self._handler = handler
        self._server = web.Server(self._handle, access_log=None)
        self._guests: dict[_Connection, None] = {}  # oldest first
        self._silent: set[_Silent] = set()

    def connection(self, peer: Peer) -> asyncio.Protocol:
        """The protocol of one accepted connection."""
        if peer is not GUEST:
            return _Silent(peer, self._silent, self._http)
        made = self._http(peer)
        self._guests[made] = None
        made.cut_after(GUEST_S)
        if len(self._guests) > MAX_GUESTS:
            oldest = next(iter(self._guests))
            self.leave(oldest)
            oldest.force_close()
        return made

    def _http(self, peer: Peer) -> "_Connection":
        return _Connection(self._server, peer, self._told, self.leave)

    def leave(self, connection: "_Connection") -> None:
        """This connection is no guest's, or no longer."""
        self._guests.pop(connection, None)
        connection.stay()

    def close_unless(self, welcome: Callable[[Peer], bool]) -> None:
        """Ends, at once, the connections of those who are not welcome."""
        for silent in list(self._silent):
            if not welcome(silent.peer):
                silent.close()
        for connection in list(self._server.connections):
            if isinstance(connection, _Connection) and not welcome(connection.visitor.peer):
                connection.force_close()

    async def close(self, within_s: float) -> None:
        """Ends all connections; requests in hand get `within_s` to finish."""
        for silent in list(self._silent):
            silent.close()
        await self._server.shutdown(within_s)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, _Connection):
            raise TypeError("request on a connection that this server did not make")
        connection.heard()
        return await self._handler(connection.visitor, request)


class _Silent(asyncio.Protocol):
    """A connection on which nothing was said yet. among: all of them; http: what serves it then.

    Its time to say something runs on until the first whole request.
    """

    __slots__ = ("peer", "_among", "_http", "_transport", "_began_s", "_end")

    def __init__(self, peer: Peer, among: "set[_Silent]", http: Callable[[Peer], "_Connection"]):
        self.peer = peer
        self._among, self._http = among, http

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        loop = asyncio.get_running_loop()
        self._began_s = loop.time()
        self._end = loop.call_later(
            session_s(transport, _idle_s(self.peer)), self._transport.close
        )
        self._among.add(self)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._among.discard(self)
        made = self._http(self.peer)
        made.take_over(self._began_s, self._end)
        self._transport.set_protocol(made)
        made.connection_made(self._transport)
        made.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._among.discard(self)
        self._end.cancel()

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()


class _Connection(TellingConnection):
    __hash__ = object.__hash__

    def __init__(
        self,
        server: web.Server,
        peer: Peer,
        told: Told,
        leave: Callable[["_Connection"], None],
    ):
        super().__init__(
            server,
            functools.partial(told, peer),
            _idle_s(peer),
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
            lingering_time=1.0,
        )
        self.visitor = Visitor(peer)
        self.visitor.on_proven = functools.partial(leave, self)
        self._leave = leave
        self._session_end: asyncio.TimerHandle | None = None
        self._guest_end: asyncio.TimerHandle | None = None
        self._silence_end: asyncio.TimerHandle | None = None
        self._began_s = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The session begins, and with it the time it may last."""
        super().connection_made(transport)
        address = transport.get_extra_info("peername")
        self.visitor.address = address[0] if address else ""
        loop = asyncio.get_running_loop()
        end_s = self._began_s + session_s(transport, MAX_SESSION_S)
        self._session_end = loop.call_at(end_s, self.close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The session has ended."""
        if self._session_end is not None:
            self._session_end.cancel()
        self.heard()
        self._leave(self)
        super().connection_lost(exc)

    def take_over(self, began_s: float, silence_end: asyncio.TimerHandle) -> None:
        """The session has begun before, and is cut then unless `heard` comes first."""
        self._began_s, self._silence_end = began_s, silence_end

    def heard(self) -> None:
        """A whole request came: now aiohttp looks to the time between requests."""
        if self._silence_end is not None:
            self._silence_end.cancel()
            self._silence_end = None

    def cut_after(self, seconds: float) -> None:
        """Ends the connection then, unless `stay` comes first."""
        self._guest_end = asyncio.get_running_loop().call_later(seconds, self.force_close)

    def stay(self) -> None:
        """No guest's time runs out here any more."""
        if self._guest_end is not None:
            self._guest_end.cancel()
            self._guest_end = None


def _idle_s(peer: Peer) -> float:
    return IDLE_S if peer.role == "CLS" else PERSON_IDLE_S
