"""One HTTP connection whose owner is told of bytes that were no HTTP.

aiohttp answers such bytes by itself, with a page of HTML, and no handler ever hears of it. Here
the answer is JSON like every other refusal, and somebody can write it into a log.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

Told = Callable[[int, str], object]  # HTTP status and reason of a refusal


class TellingConnection(web.RequestHandler):
    """A connection of `server`; told(status, reason): what aiohttp refused on it.

    limits: as aiohttp's RequestHandler takes them.
    """

    def __init__(self, server: web.Server, told: Told, keepalive_s: float, **limits: Any):
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=keepalive_s,
            access_log=None,  # pyright: ignore[reportArgumentType]
            **limits,
        )
        self._told = told

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
        self._told(status, reason)
        answer = web.json_response({"error": reason}, status=status)
        answer.force_close()
        return answer
