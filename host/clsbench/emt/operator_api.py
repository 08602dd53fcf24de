"""The aEMT's operator interface: HTTP on a unix domain socket that only its owner may open.

POST /switch; GET /records, /device-records, /commands, /status. Errors are
{"error": text} with 400 (content), 404 (unknown CLS), 403 (refused by SMGW or GWA), 409
(same uuid and action, other content), 504 (no answer until the deadline).
"""

import json
import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from clsbench.emt.config import EmtConfig
from clsbench.emt.engine import CommandEngine
from clsbench.emt.store import Conflict, EmtStore
from clsbench.errors import BadInput, ClsbenchError, EnvironmentProblem, PeerRefused, PeerSilent
from clsbench.net.reverse import OpenStreams

_STATUS = ((Conflict, 409), (BadInput, 400), (PeerRefused, 403), (PeerSilent, 504))
_SWITCH = {
    "cls_id": str,
    "action": str,
    "uuid": str,
    "text": str,
    "event_ms": int,
    "taf_profile": str,
}


class OperatorApi:
    """Serves one socket file; `start` makes it, `stop` removes it."""

    def __init__(
        self, config: EmtConfig, store: EmtStore, engine: CommandEngine, channels: OpenStreams
    ):
        self._config = config
        self._store = store
        self._engine = engine
        self._channels = channels
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Raises EnvironmentProblem where another process serves the socket."""
        app = web.Application(middlewares=[_errors])
        app.router.add_post("/switch", self._switch)
        app.router.add_get("/records", self._records)
        app.router.add_get("/device-records", self._device_records)
        app.router.add_get("/commands", self._commands)
        app.router.add_get("/status", self._status)
        listener = _private_socket(self._config.emt.operator_socket)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        """Closes the socket and removes its file."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            _remove(self._config.emt.operator_socket)

    async def _switch(self, request: web.Request) -> web.Response:
        content = await _content(request)
        cls = self._config.find_cls(content["cls_id"])
        if cls is None:
            reason = f"CLS {content['cls_id']} is in no [[cls]] of this aEMT's configuration"
            return web.json_response({"error": reason}, status=404)
        del content["cls_id"]
        return web.json_response(asdict(await self._engine.switch(cls, **content)))

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
            "channels": self._channels.names(),
            "stored": self._store.counts(),
            "cls": [entry.cls_id for entry in self._config.cls],
        }
        return web.json_response(content)


async def _content(request: web.Request) -> dict[str, Any]:
    try:
        content = await request.json()
    except ValueError as error:
        raise BadInput(f"body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadInput("body is no JSON object")
    for name, value in content.items():
        if name not in _SWITCH or type(value) is not _SWITCH[name]:
            raise BadInput(f"key {name}: not known or not {_SWITCH.get(name, str).__name__}")
    for name in ("cls_id", "action"):
        if name not in content:
            raise BadInput(f"key {name} is missing")
    return content


@web.middleware
async def _errors(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        return await handler(request)
    except ClsbenchError as error:
        status = next((number for kind, number in _STATUS if isinstance(error, kind)), 500)
        return web.json_response({"error": str(error)}, status=status)


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def _private_socket(path: str) -> socket.socket:
    """A bound socket file of mode 0600; a stale file of an ended process is replaced."""
    if Path(path).is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                raise EnvironmentProblem(f"{path}: another aEMT serves this operator socket")
        _remove(path)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise EnvironmentProblem(f"operator socket {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    return listener
