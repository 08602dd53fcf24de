"""The administrator's Connect of a proxy profile: POST /smgw/gwa/v1/fas/proxy.

{"emt_id", "proxy", "uuid"?} -> 200 {"state": "open"}; 403, 404 where rights say no; 502 a side
refused, 504 it did not answer. The paths are this project's.
"""

from aiohttp import web

from clsbench.smgw.cls.engine import NoChannel, ProxyEngine
from clsbench.smgw.core.fields import object_body, text_field, uuid_of_switching
from clsbench.smgw.core.rights import Target
from clsbench.smgw.rest import Call, Router

PROXY_PATH = "/smgw/gwa/v1/fas/proxy"
MAX_NAME_BYTES = 64


class ProxyResources:
    """Opens a channel for the market participant that the administrator names."""

    def __init__(self, engine: ProxyEngine):
        self._engine = engine

    def add_to(self, router: Router) -> None:
        """The resource, for the router of the management connection."""
        router.add("POST", PROXY_PATH, self.connect)

    async def connect(self, call: Call) -> web.Response:
        """Opens both sides; answered when the channel stands, or does not."""
        body = object_body(call.json())
        emt_id = text_field(body, "emt_id", MAX_NAME_BYTES)
        proxy = text_field(body, "proxy", MAX_NAME_BYTES)
        try:
            target = Target(emt=emt_id, proxy=proxy)
            channel = await self._engine.connect(call.peer, target, uuid_of_switching(body))
        except NoChannel as no:  # told by the engine
            return web.json_response({"error": str(no)}, status=no.http_status)
        return web.json_response({"state": "open", "channel": channel.number})
