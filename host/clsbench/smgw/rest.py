"""REST on aiohttp's low-level server: routes, limits, JSON, and errors as JSON {"error"}.

Serves HAN and WAN alike; knows no resource. Every error has its status: unknown path 404,
wrong method 405, body too large 413, header too large 431, body not parseable or a field
wrong 422, body not sent in time 408.
Source: BSI Detailspezifikationen 2.0 chapter 6 (limits, status codes).
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from clsbench.pki.names import Peer
from clsbench.smgw.core.fields import FieldError

MAX_HEADER_BYTES = 8500
MAX_BODY_BYTES = 65_536
BODY_WITHIN_S = 20.0

CLS_ID = "(?P<cls_id>[0-9A-Za-z]{14})"
UUID = "(?P<id>[0-9A-Fa-f-]{36})"


class HttpRefusal(Exception):
    """The request is answered with this status; the text is the reason."""

    def __init__(self, status: int, reason: str, uuid: str | None = None):
        super().__init__(reason)
        self.status = status
        self.uuid = uuid


@dataclass(slots=True)
class Call:
    """One request whose path and method are known. params: the named groups of the path."""

    peer: Peer
    request: web.BaseRequest
    params: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The parsed body. Raises FieldError."""
        try:
            return json.loads(self.body.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise FieldError("body: not parseable as JSON") from error

    def uint(self, name: str, default: int, largest: int) -> int:
        """A number of the query, at most `largest`. Raises FieldError."""
        text = self.request.query.get(name)
        if text is None:
            return default
        if not re.fullmatch("[0-9]{1,9}", text):
            raise FieldError(f"{name}: expected a number")
        return min(int(text), largest)


Handler = Callable[[Call], Awaitable[web.StreamResponse]]
Refused = Callable[[Peer, web.BaseRequest, HttpRefusal], None]
Opened = Callable[[Peer, web.BaseRequest, bytes], bytes]


class Router:
    """Routes of one interface. refused(peer, request, refusal) is told of every refusal.

    opened(peer, request, body): gives the body that counts, where it comes in an envelope.
    """

    def __init__(self, refused: Refused):
        self.opened: Opened = lambda peer, request, body: body
        self._refused = refused
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """path: a regular expression over the whole path."""
        self._routes.append((method, re.compile(path), handler))

    async def answer(self, peer: Peer, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request; refusals are answers too."""
        try:
            handler, params = self._find(request)
            body = self.opened(peer, request, await read_body(request))
            call = Call(peer, request, params, body)
            return await handler(call)
        except FieldError as error:
            return self._refuse(peer, request, HttpRefusal(422, str(error)))
        except HttpRefusal as refusal:
            return self._refuse(peer, request, refusal)

    def _find(self, request: web.BaseRequest) -> tuple[Handler, dict[str, str]]:
        if (
            sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
            > MAX_HEADER_BYTES
        ):
            raise HttpRefusal(431, f"header of more than {MAX_HEADER_BYTES} bytes")
        allowed: list[str] = []
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                return handler, match.groupdict()
            if match:
                allowed.append(method)
        if allowed:
            raise HttpRefusal(405, f"{request.method} not allowed, use {', '.join(allowed)}")
        raise HttpRefusal(404, "no such path")

    def _refuse(
        self, peer: Peer, request: web.BaseRequest, refusal: HttpRefusal
    ) -> web.StreamResponse:
        self._refused(peer, request, refusal)
        return error_answer(refusal.status, str(refusal))


def error_answer(status: int, reason: str) -> web.Response:
    """{"error": reason} with this status."""
    return web.json_response({"error": reason}, status=status)


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body, within MAX_BODY_BYTES and BODY_WITHIN_S. Raises HttpRefusal."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise HttpRefusal(413, f"body of more than {MAX_BODY_BYTES} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise HttpRefusal(413, f"body of more than {MAX_BODY_BYTES} bytes")
    except TimeoutError as error:
        raise HttpRefusal(408, f"body not sent within {BODY_WITHIN_S:g} s") from error
    except web.RequestPayloadError as error:
        raise HttpRefusal(400, "body damaged") from error
    return bytes(body)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
