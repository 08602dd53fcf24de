"""Orders of market participants for a CLS channel: passed on to the gateway, once, not kept.

POST /gwa/v1/proxy {"smgw_id", "emt_id", "proxy", "uuid"?}. Unlike the channel for commands, a
proxied connection that ends is ordered again by who needs it.
"""

import logging

from clsbench.errors import PeerSilent
from clsbench.eventlog import EventLog
from clsbench.gwa.channels import Verdict
from clsbench.gwa.config import GwaConfig
from clsbench.gwa.wakeup import Gateways

ORDER_PATH = "/gwa/v1/proxy"
CONNECT_PATH = "/smgw/gwa/v1/fas/proxy"
ANSWER_WITHIN_S = 24.0  # the gateway opens two connections, 10 s each, and a little for the way

log = logging.getLogger("clsbench.gwa.proxies")


class ProxyOrders:
    """`gateways` are the management connections, keyed by smgw_id."""

    def __init__(self, config: GwaConfig, gateways: Gateways, events: EventLog):
        self._config = config
        self._gateways = gateways
        self._events = events

    async def connect(
        self, smgw_id: str, emt_id: str, proxy: str, uuid: str | None = None
    ) -> Verdict:
        """Passes the order on; 200 when the channel stands. uuid: of the switching that needs it,
        where there is one."""
        detail = {"smgw_id": smgw_id, "emt_id": emt_id, "proxy": proxy}
        self._events.event("aEMT", "GWA", "message", "gwa.order.proxy", uuid=uuid, detail=detail)
        verdict = await self._passed_on(smgw_id, emt_id, proxy, uuid)
        told = detail | {"status": verdict.status, "reason": verdict.reason}
        done = verdict.status == 200
        self._events.event(
            "SMGW", "GWA", "message", "gwa.proxy.answer", uuid=uuid, ok=done, detail=told
        )
        log.info("proxy %s of EMT %s on %s: %d", proxy, emt_id, smgw_id, verdict.status)
        return verdict

    async def _passed_on(self, smgw_id: str, emt_id: str, proxy: str, uuid: str | None) -> Verdict:
        if not self._config.administers(smgw_id):
            return Verdict(403, f"SMGW {smgw_id} is not administered here")
        if not self._config.allows(emt_id, smgw_id):
            return Verdict(403, f"EMT {emt_id} has no agreement for SMGW {smgw_id}")
        stream = await self._gateways.reach(smgw_id)
        if stream is None:
            return Verdict(404, f"SMGW {smgw_id} is not connected to this GWA")
        body = {"emt_id": emt_id, "proxy": proxy} | ({"uuid": uuid} if uuid else {})
        try:
            answer = await stream.request(
                "POST", CONNECT_PATH, json=body, timeout_s=ANSWER_WITHIN_S
            )
        except PeerSilent as error:
            return Verdict(504, str(error))
        if answer.status == 200:
            return Verdict(200)
        # to the orderer 404 means that the gateway is away, which passes
        status = 403 if answer.status == 404 else answer.status
        return Verdict(status, f"SMGW {smgw_id}: {answer.error_text()}")
