"""The GWA as a process: its ports, and who is let in on which.

`management`: SMGWs only, which open the connection and are asked over it. `service`: HTTPS
for market participants; POST /gwa/v1/connect and /gwa/v1/disconnect {"smgw_id", "emt_id"},
each EMT for itself alone. `time`: SMGWs only, NTP in TLS, where configured. What an order
means is `gwa.channels`' business.
"""

import asyncio
import logging

from aiohttp import web

from clsbench.clock import BenchClock
from clsbench.errors import BadInput, PeerRefused
from clsbench.eventlog import EventLog
from clsbench.gwa.acts import FILE_NAME, Acts
from clsbench.gwa.administration import Administration
from clsbench.gwa.channels import ChannelOrders
from clsbench.gwa.config import GwaConfig
from clsbench.gwa.connects import StandingConnects
from clsbench.gwa.content import Enveloping
from clsbench.gwa.operator_api import OperatorApi
from clsbench.gwa.proxies import ORDER_PATH, ProxyOrders
from clsbench.gwa.time_server import TimeServer
from clsbench.gwa.wakeup import Gateways, WakeUpSender, signing_key
from clsbench.net.listener import TlsListener
from clsbench.net.reverse import http_client_protocol
from clsbench.net.serving import PeerHttpServer, json_object, refusal
from clsbench.net.tls import Peer
from clsbench.roleconfig import state_dir
from clsbench.roletls import RoleTls

CONNECT = "/gwa/v1/connect"
DISCONNECT = "/gwa/v1/disconnect"

log = logging.getLogger("clsbench.gwa")


class GwaService:
    """One gateway administrator. Raises BadInput or EnvironmentProblem for what it cannot use."""

    def __init__(self, config: GwaConfig):
        self._config = config
        clock = BenchClock.from_spec(config.gwa.clock)
        self._events = EventLog(config.gwa.event_log or None, clock, f"gwa-{config.gwa.name}")
        folder = state_dir(config.gwa.state_dir)
        standing = StandingConnects(folder / "connects.json")
        self._gateways = Gateways(
            self._gateway_changed,
            {entry.id: entry.wakeup for entry in config.smgw},
            lambda: WakeUpSender(signing_key(config.pki), clock, self._events),
        )
        self._enveloping = Enveloping(config, clock, self._events)
        self._orders = ChannelOrders(config, standing, self._gateways, self._events)
        self._proxies = ProxyOrders(config, self._gateways, self._events)
        acts = Acts(folder / FILE_NAME, clock)
        administration = Administration(config, self._gateways, self._orders, self._events, acts)
        self._operator = None
        if config.gwa.operator_socket:
            self._operator = OperatorApi(config.gwa.operator_socket, administration, acts)
        self._service = PeerHttpServer(self._serve, self._refuse)
        self._tls = RoleTls(config.pki, "gwa", self._told_tls, clock.speed)
        self._management_port = TlsListener(
            self._tls.server(config.management.sni), self._accept_gateway, self._refused_tls
        )
        self._service_port = TlsListener(
            self._tls.server(config.service.sni), self._service.accept, self._refused_tls
        )
        self.time = None if config.time is None else TimeServer(config.time, clock, self._events)
        self._time_port = TlsListener(self._tls.server(), self._accept_clock, self._refused_tls)

    async def start(self) -> dict[str, int]:
        """Opens the ports; returns their numbers."""
        self._tls.start()
        management, service = self._config.management, self._config.service
        ports = {
            "management": await self._management_port.start(management.host, management.port),
            "service": await self._service_port.start(service.host, service.port),
        }
        if (time := self._config.time) is not None:
            ports["time"] = await self._time_port.start(time.host, time.port)
        if self._operator is not None:
            await self._operator.start()
        return ports

    async def stop(self) -> None:
        """Closes everything; standing connects stay on disk."""
        self._tls.close()
        if self._operator is not None:
            await self._operator.stop()
        await self._orders.close()
        if self.time is not None:
            await self.time.close()
            await self._time_port.close()
        await self._service.close()
        await self._service_port.close()
        await self._management_port.close()
        await self._gateways.close()
        self._events.close()

    def _accept_gateway(self, peer: Peer) -> asyncio.BaseProtocol:
        if peer.role != "SMGW" or not self._config.administers(peer.name):
            raise PeerRefused(f"{peer.cn} is no SMGW administered here")
        return http_client_protocol(
            lambda stream: self._gateways.add(
                peer.name, self._enveloping.around(peer.name, stream)
            ),
            f"SMGW {peer.name}",
        )

    def _accept_clock(self, peer: Peer) -> asyncio.BaseProtocol:
        if self.time is None or peer.role != "SMGW" or not self._config.administers(peer.name):
            raise PeerRefused(f"{peer.cn} is no SMGW administered here")
        return self.time.accept(peer)

    def _gateway_changed(self, smgw_id: str, is_open: bool) -> None:
        state = "up" if is_open else "down"
        detail = {"smgw_id": smgw_id, "state": state}
        self._events.event("SMGW", "GWA", "state", "management", detail=detail)
        log.info("management connection of %s is %s", smgw_id, state)
        if is_open:
            self._orders.gateway_is_back(smgw_id)

    async def _serve(self, peer: Peer, request: web.BaseRequest) -> web.StreamResponse:
        if peer.role != "EMT":
            return self._refuse(peer, 403, f"{peer.cn} is no EMT: may not order channels")
        if request.path not in (CONNECT, DISCONNECT, ORDER_PATH):
            return refusal(404, f"no resource {request.path}")
        if request.method != "POST":
            return refusal(405, "only POST")
        proxy = {"proxy": str} if request.path == ORDER_PATH else {}
        try:
            kinds = {"smgw_id": str, "emt_id": str, "uuid": str, **proxy}
            content = await json_object(request, ("uuid",), **kinds)
        except BadInput as error:
            return self._refuse(peer, 422, str(error))
        uuid = content.pop("uuid", None)
        if request.path == ORDER_PATH:
            return await self._order_proxy(peer, uuid=uuid, **content)
        return await self._order(peer, request.path, content["smgw_id"], content["emt_id"], uuid)

    async def _order(
        self, peer: Peer, path: str, smgw_id: str, emt_id: str, uuid: str | None
    ) -> web.Response:
        if emt_id != peer.name:
            return self._refuse(peer, 403, f"{peer.cn} may not order for EMT {emt_id}")
        name = "gwa.order.connect" if path == CONNECT else "gwa.order.disconnect"
        detail = {"smgw_id": smgw_id, "emt_id": emt_id}
        self._events.event("aEMT", "GWA", "message", name, uuid=uuid, detail=detail)
        if path == CONNECT:
            verdict = await self._orders.connect(smgw_id, emt_id, uuid)
        else:
            verdict = await self._orders.disconnect(smgw_id, emt_id)
        if verdict.status != 200:
            return self._refuse(peer, verdict.status, verdict.reason)
        return web.json_response({"state": "open" if path == CONNECT else "closed"})

    async def _order_proxy(
        self, peer: Peer, smgw_id: str, emt_id: str, proxy: str, uuid: str | None
    ) -> web.Response:
        if emt_id != peer.name:
            return self._refuse(peer, 403, f"{peer.cn} may not order for EMT {emt_id}")
        verdict = await self._proxies.connect(smgw_id, emt_id, proxy, uuid)
        if verdict.status != 200:
            return self._refuse(peer, verdict.status, verdict.reason)
        return web.json_response({"state": "open"})

    def _refuse(self, peer: Peer, status: int, reason: str) -> web.Response:
        log.warning("service: %s answered %d: %s", peer.cn, status, reason)
        lane = {"EMT": "aEMT", "SMGW": "SMGW", "GWA": "GWA"}.get(peer.role, "DICAMM")
        detail = {"peer": peer.cn, "status": status, "reason": reason}
        self._events.event(lane, "GWA", "fault", "gwa.refused", ok=False, detail=detail)
        return refusal(status, reason)

    def _told_tls(self, name: str, good: bool, _text: str, detail: dict) -> None:
        kind = "state" if good else "fault"
        self._events.event("GWA", "GWA", kind, name, ok=good, detail=detail)

    def _refused_tls(self, reason: str, address: str) -> None:
        log.warning("connection from %s refused: %s", address, reason)
        detail = {"address": address, "reason": reason}
        self._events.event("GWA", "GWA", "fault", "gwa.tls-refused", ok=False, detail=detail)
