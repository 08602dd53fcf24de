"""One HTTP connection in the HAN: aiohttp's protocol, with the peer's name and told errors.

aiohttp answers bytes that are no HTTP by itself; here that answer is JSON, and somebody is
told. A connection on which no whole request comes in time is cut, and so is one that has lasted
MAX_SESSION_S, after the answer in hand.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from clsbench.net.reverse import MAX_SESSION_S
from clsbench.pki.names import Peer
from clsbench.smgw.rest import error_answer

MAX_LINE_BYTES = 2048
MAX_HEADERS = 64
IDLE_S = 60.0  # without a whole request header; the timer starts anew with each answer

PeerHandler = Callable[[Peer, web.BaseRequest], Awaitable[web.StreamResponse]]
Told = Callable[[Peer, int, str], None]


class HanServer:
    """Makes a connection for each peer. told(peer, status, reason): what aiohttp refused."""

    def __init__(self, handler: PeerHandler, told: Told):
        self.told = told
        self._handler = handler
        self._server = web.Server(self._handle, access_log=None)

    def connection(self, peer: Peer) -> web.RequestHandler:
        """The protocol of one accepted connection."""
        return _Connection(self, self._server, peer)

    async def close(self, within_s: float) -> None:
        """Ends all connections; requests in hand get `within_s` to finish."""
        await self._server.shutdown(within_s)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, _Connection):
            raise TypeError("request on a connection that this server did not make")
        return await self._handler(connection.peer, request)


class _Connection(web.RequestHandler):
    def __init__(self, owner: HanServer, server: web.Server, peer: Peer):
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
            lingering_time=1.0,
            access_log=None,  # pyright: ignore[reportArgumentType]
        )
        self.peer = peer
        self._owner = owner
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

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers what never reached a handler (400, 431), or what failed in one (500)."""
        if status == 500:
            return super().handle_error(request, status, exc, message)
        if isinstance(exc, LineTooLong):
            status = 431
        reason = "header line too long" if status == 431 else "malformed HTTP"
        self._owner.told(self.peer, status, reason)
        answer = error_answer(status, reason)
        answer.force_close()
        return answer
