"""One HTTP connection in the HAN: it knows its peer, and takes no more than the HAN allows.

A connection on which no whole request comes in time is cut, and so is one that has lasted
MAX_SESSION_S, after the answer in hand. Of bytes that are no HTTP somebody is told.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable

from aiohttp import web

from clsbench.net.reverse import MAX_SESSION_S
from clsbench.net.telling import TellingConnection
from clsbench.pki.names import Peer

MAX_LINE_BYTES = 2048
MAX_HEADERS = 64
IDLE_S = 60.0  # without a whole request header; the timer starts anew with each answer

PeerHandler = Callable[[Peer, web.BaseRequest], Awaitable[web.StreamResponse]]
Told = Callable[[Peer, int, str], None]


class HanServer:
    """Makes a connection for each peer. told(peer, status, reason): what aiohttp refused."""

    def __init__(self, handler: PeerHandler, told: Told):
        self._told = told
        self._handler = handler
        self._server = web.Server(self._handle, access_log=None)

    def connection(self, peer: Peer) -> web.RequestHandler:
        """The protocol of one accepted connection."""
        return _Connection(self._server, peer, self._told)

    async def close(self, within_s: float) -> None:
        """Ends all connections; requests in hand get `within_s` to finish."""
        await self._server.shutdown(within_s)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, _Connection):
            raise TypeError("request on a connection that this server did not make")
        return await self._handler(connection.peer, request)


class _Connection(TellingConnection):
    def __init__(self, server: web.Server, peer: Peer, told: Told):
        super().__init__(
            server,
            functools.partial(told, peer),
            IDLE_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
            lingering_time=1.0,
        )
        self.peer = peer
        self._session_end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The session begins, and with it the time it may last."""
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._session_end = loop.call_later(MAX_SESSION_S, self.close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The session has ended."""
        if self._session_end is not None:
            self._session_end.cancel()
        super().connection_lost(exc)
