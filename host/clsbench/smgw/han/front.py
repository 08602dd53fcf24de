"""Sends each request of the HAN to whom it belongs: control boxes, people, dialects.

Knows paths and the door, no resource. A refusal is answered here and told once; a request that
merely had not logged in yet is answered and not told.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Protocol

from aiohttp import web

from clsbench.pki.names import Peer
from clsbench.smgw.core.rights import ROLE_CLS
from clsbench.smgw.han.connection import Visitor
from clsbench.smgw.han.door import Door, DoorRefusal
from clsbench.smgw.han.openapi import OPENAPI_PATH, description
from clsbench.smgw.rest import HttpRefusal, Router, error_answer

Refused = Callable[[Peer, web.BaseRequest, HttpRefusal], None]


class Dialect(Protocol):
    """An interface of a maker."""

    def serves(self, path: str) -> bool: ...
    async def answer(self, visitor: Visitor, request: web.BaseRequest) -> web.StreamResponse: ...


class Front:
    """answer(visitor, request) for every request. delay_s: before each answer (a quirk)."""

    def __init__(
        self,
        cls: Router,
        people: Router,
        door: Door,
        dialects: Sequence[Dialect],
        refused: Refused,
        delay_s: float = 0,
    ):
        self._cls = cls
        self._people = people
        self._door = door
        self._dialects = dialects
        self._refused = refused
        self._delay_s = delay_s
        self._openapi = json.dumps(description()).encode()

    async def answer(self, visitor: Visitor, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request."""
        if visitor.peer.role == ROLE_CLS:
            return await self._cls.answer(visitor.peer, request)
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        try:
            return await self._answer(visitor, request)
        except DoorRefusal as refusal:
            if request.headers.get("Authorization") is not None:
                self._refused(visitor.peer, request, refusal)
            answer = error_answer(refusal.status, str(refusal))
            answer.headers.update(refusal.headers)
            return answer
        except HttpRefusal as refusal:
            self._refused(visitor.peer, request, refusal)
            return error_answer(refusal.status, str(refusal))

    async def _answer(self, visitor: Visitor, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == OPENAPI_PATH and request.method == "GET":
            return web.Response(body=self._openapi, content_type="application/json")
        for dialect in self._dialects:
            if dialect.serves(request.path):
                return await dialect.answer(visitor, request)
        peer = self._door.enter(visitor, request)
        return await self._people.answer(peer, request)
