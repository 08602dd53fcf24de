"""The aEMT's operator interface: HTTP on a unix domain socket that only its owner may open.

POST /switch, /event, /read; GET /records, /device-records, /commands, /status. Errors as in
`net.operator`; 404: unknown CLS, 409: same uuid and action, other content.
"""

import json
from dataclasses import asdict
from typing import Any

from aiohttp import web

from clsbench.emt.cls_channel import ClsChannels
from clsbench.emt.config import ClsEntry, EmtConfig
from clsbench.emt.engine import CommandEngine
from clsbench.emt.store import Conflict, EmtStore
from clsbench.errors import BadInput
from clsbench.net.operator import OperatorServer, content_of
from clsbench.net.reverse import OpenStreams

_COMMON = {"cls_id": str, "uuid": str, "text": str, "event_ms": int, "taf_profile": str}
_SWITCH = _COMMON | {"action": str, "limit_w": int, "duration_s": int}
_EVENT = _COMMON | {"event": str}
_READ = {"smgw_id": str, "taf_profile": str}


class OperatorApi:
    """Serves one socket file; `start` makes it, `stop` removes it."""

    def __init__(
        self,
        config: EmtConfig,
        store: EmtStore,
        engine: CommandEngine,
        channels: OpenStreams,
        cls_channels: ClsChannels,
    ):
        self._config = config
        self._store = store
        self._engine = engine
        self._channels = channels
        self._cls_channels = cls_channels
        routes = [
            web.post("/switch", self._switch),
            web.post("/event", self._event),
            web.post("/read", self._read),
            web.get("/records", self._records),
            web.get("/device-records", self._device_records),
            web.get("/commands", self._commands),
            web.get("/status", self._status),
        ]
        self._server = OperatorServer("emt", config.emt.operator_socket, routes, (Conflict,))

    async def start(self) -> None:
        """Raises EnvironmentProblem where another process serves the socket."""
        await self._server.start()

    async def stop(self) -> None:
        """Closes the socket and removes its file."""
        await self._server.stop()

    async def _switch(self, request: web.Request) -> web.Response:
        content = await content_of(request, _SWITCH, ("cls_id", "action"))
        cls = self._cls(content.pop("cls_id"))
        return web.json_response(asdict(await self._engine.switch(cls, **content)))

    async def _event(self, request: web.Request) -> web.Response:
        content = await content_of(request, _EVENT, ("cls_id", "event"))
        cls = self._cls(content.pop("cls_id"))
        outcome = await self._engine.signal(cls, **content)
        answer: dict[str, Any] = {"seq": outcome.seq, "captured_ms": outcome.captured_ms}
        answer |= {"uuid": outcome.uuid, "latency_ms": outcome.latency_ms}
        return web.json_response(answer)

    async def _read(self, request: web.Request) -> web.Response:
        content = await content_of(request, _READ, ("smgw_id", "taf_profile"))
        return web.json_response(await self._engine.read(**content))

    async def _records(self, request: web.Request) -> web.Response:
        rows = [
            {**row, "content": json.loads(row["content"]), "cms": row["cms"].hex()}
            for row in self._store.gateway_records()
        ]
        return web.json_response({"records": rows})

    async def _device_records(self, request: web.Request) -> web.Response:
        rows = [
            {**row, "sealed": row["sealed"].hex(), "seal_checked": bool(row["seal_checked"])}
            for row in self._store.device_records()
        ]
        return web.json_response({"records": rows})

    async def _commands(self, request: web.Request) -> web.Response:
        return web.json_response({"commands": self._store.commands()})

    async def _status(self, request: web.Request) -> web.Response:
        content = {
            "name": self._config.emt.name,
            "role": "passive" if self._config.passive else "active",
            "channels": self._channels.names(),
            "cls_channels": self._cls_channels.names(),
            "stored": self._store.counts(),
            "cls": [entry.cls_id for entry in self._config.cls],
        }
        return web.json_response(content)

    def _cls(self, cls_id: str) -> ClsEntry:
        if self._config.passive:
            raise BadInput(f"EMT {self._config.emt.name} is passive: it commands nothing")
        cls = self._config.find_cls(cls_id)
        if cls is None:
            raise BadInput(f"CLS {cls_id} is in no [[cls]] of this aEMT's configuration")
        return cls
