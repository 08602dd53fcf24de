"""The administrator's operator interface: HTTP on a unix socket that only its owner may open.

POST /profiles, /connect, /disconnect, /renew; GET /profiles, /logs, /version, /status, /acts, each
with `smgw_id`. Errors as in `net.operator`.
"""

from urllib.parse import urlencode

from aiohttp import web

from clsbench.errors import BadInput
from clsbench.gwa.acts import Acts
from clsbench.gwa.administration import Administration
from clsbench.net.operator import OperatorServer, content_of

_ORDER = {"smgw_id": str, "emt_id": str}
_CHANGE = {"smgw_id": str, "put": dict, "remove": list}
_LOG_QUERY = ("count", "level", "from", "to")
ENTRIES = 50


class OperatorApi:
    """Serves one socket file; `start` makes it, `stop` removes it."""

    def __init__(self, path: str, administration: Administration, acts: Acts):
        self._administration = administration
        self._acts = acts
        routes = [
            web.post("/profiles", self._change),
            web.get("/profiles", self._profiles),
            web.post("/connect", self._connect),
            web.post("/disconnect", self._disconnect),
            web.post("/renew", self._renew),
            web.get("/logs", self._logs),
            web.get("/version", self._version),
            web.get("/status", self._status),
            web.get("/acts", self._newest),
        ]
        self._server = OperatorServer("gwa", path, routes)

    async def start(self) -> None:
        """Raises EnvironmentProblem where another process serves the socket."""
        await self._server.start()

    async def stop(self) -> None:
        """Closes the socket and removes its file."""
        await self._server.stop()

    async def _change(self, request: web.Request) -> web.Response:
        content = await content_of(request, _CHANGE, ("put", "remove"))
        smgw_id = content.pop("smgw_id", "")
        return web.json_response(await self._administration.change_profiles(smgw_id, **content))

    async def _profiles(self, request: web.Request) -> web.Response:
        everything = request.query.get("all") == "1"
        found = await self._administration.profiles(_smgw(request), everything)
        return web.json_response(found)

    async def _connect(self, request: web.Request) -> web.Response:
        content = await content_of(request, _ORDER, ("emt_id",))
        answer = await self._administration.connect(content.get("smgw_id", ""), content["emt_id"])
        return web.json_response(answer)

    async def _disconnect(self, request: web.Request) -> web.Response:
        content = await content_of(request, _ORDER, ("emt_id",))
        ordered = self._administration.disconnect(content.get("smgw_id", ""), content["emt_id"])
        return web.json_response(await ordered)

    async def _renew(self, request: web.Request) -> web.Response:
        content = await content_of(request, {"smgw_id": str}, ())
        return web.json_response(await self._administration.renew(content.get("smgw_id", "")))

    async def _logs(self, request: web.Request) -> web.Response:
        name = request.query.get("log", "system")
        asked = {key: request.query[key] for key in _LOG_QUERY if key in request.query}
        found = await self._administration.logs(_smgw(request), name, urlencode(asked))
        return web.json_response(found)

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response(await self._administration.version(_smgw(request)))

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response(await self._administration.status(_smgw(request)))

    async def _newest(self, request: web.Request) -> web.Response:
        count = request.query.get("count", str(ENTRIES))
        if not count.isdecimal() or int(count) < 1:
            raise BadInput(f"count '{count}': expected a number from 1")
        return web.json_response({"acts": self._acts.newest(int(count))})


def _smgw(request: web.Request) -> str:
    return request.query.get("smgw_id", "")
