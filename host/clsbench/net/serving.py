"""HTTP server on accepted TLS connections: a handler that is told whose certificate asks.

Knows no paths. The usual direction, beside `reverse`: here the opener of the connection is
the HTTP client too. Bodies are limited to 1 MiB by aiohttp's request.
"""

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from clsbench.errors import BadInput
from clsbench.net.telling import TellingConnection
from clsbench.net.tls import Peer

IDLE_S = 600.0  # an idle connection is cut after this many real seconds
CLOSE_WITHIN_S = 1.0

PeerHandler = Callable[[Peer, web.BaseRequest], Awaitable[web.StreamResponse]]
PeerTold = Callable[[Peer, int, str], object]


class PeerHttpServer:
    """Makes the protocol of each accepted connection; `handler(peer, request)` answers.

    told(peer, status, reason): of bytes that were no HTTP.
    """

    def __init__(self, handler: PeerHandler, told: PeerTold):
        self._handler = handler
        self._told = told
        self._servers: list[web.Server] = []

    def accept(self, peer: Peer) -> Any:
        """A protocol for one connection of `peer`; for the accept function of a TLS listener."""
        self._servers = [server for server in self._servers if server.connections]
        server = web.Server(functools.partial(self._handler, peer), access_log=None)
        self._servers.append(server)
        return TellingConnection(server, functools.partial(self._told, peer), IDLE_S)

    async def close(self) -> None:
        """Ends all connections; a request in hand gets CLOSE_WITHIN_S to finish."""
        for server in self._servers:
            await server.shutdown(CLOSE_WITHIN_S)


async def json_object(
    request: web.BaseRequest, _optional: tuple[str, ...] = (), /, **kinds: type
) -> dict[str, Any]:
    """The request's JSON object: exactly the keys and types of `kinds`. Raises BadInput.

    _optional: those of the keys that may be left out.
    """
    try:
        content = json.loads(await request.read())
    except ValueError as error:
        raise BadInput(f"body is not JSON: {error}") from error
    needed = set(kinds) - set(_optional)
    if not isinstance(content, dict) or not needed <= set(content) <= set(kinds):
        raise BadInput(f"body must be a JSON object with {', '.join(sorted(needed))}")
    for name, value in content.items():
        if type(value) is not kinds[name]:
            raise BadInput(f"key {name}: must be {kinds[name].__name__}")
    return content


def refusal(status: int, reason: str, **more: Any) -> web.Response:
    """The answer {"error": reason, ...}."""
    return web.json_response({"error": reason, **more}, status=status)
