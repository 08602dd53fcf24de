"""Channel orders of the GWA: takes Connect and Disconnect, tells the SMGW, tells it again.

Knows who may order what and how an order reaches a gateway; how the order came in (service
port) and how the gateway is reached (management connection) are given from outside.
"""

import asyncio
import logging
from dataclasses import dataclass

from clsbench.errors import PeerSilent
from clsbench.eventlog import EventLog
from clsbench.gwa.config import GwaConfig
from clsbench.gwa.connects import CLOSING, OPEN, StandingConnects
from clsbench.gwa.wakeup import Gateways

CONNECT_PATH = "/smgw/gwa/v1/fas/connect"
DISCONNECT_PATH = "/smgw/gwa/v1/fas/disconnect"
REPEAT_PAUSE_S = 5.0  # before an order that met a silent or unable SMGW is told again
KEPT = (408, 500, 502, 503, 504)  # the SMGW may yet do it: the order stands

log = logging.getLogger("clsbench.gwa.channels")


@dataclass(frozen=True)
class Verdict:
    """What the orderer is answered: HTTP status, and the reason where it is not 200."""

    status: int
    reason: str = ""


class ChannelOrders:
    """One per GWA; `gateways` are the management connections, keyed by smgw_id."""

    def __init__(
        self,
        config: GwaConfig,
        standing: StandingConnects,
        gateways: Gateways,
        events: EventLog,
    ):
        self._config = config
        self._standing = standing
        self._gateways = gateways
        self._events = events
        self._untold: dict[str, list[str]] = {}  # smgw_id -> emt_ids whose order has no answer
        self._tellers: dict[str, asyncio.Task[None]] = {}

    async def connect(self, smgw_id: str, emt_id: str, uuid: str | None = None) -> Verdict:
        """Takes a Connect; it stands from now on, unless the SMGW refuses it for good.

        uuid: of the switching that needs the channel, where there is one.
        """
        if (refused := self._not_allowed(smgw_id, emt_id)) is not None:
            return refused
        if await self._gateways.reach(smgw_id) is None:
            return Verdict(404, f"SMGW {smgw_id} is not connected to this GWA")
        self._standing.set(smgw_id, emt_id, OPEN)
        verdict = await self._tell(smgw_id, emt_id, OPEN, uuid)
        if verdict.status in KEPT:
            self._tell_later(smgw_id, emt_id)
        return verdict

    async def disconnect(self, smgw_id: str, emt_id: str) -> Verdict:
        """Ends a Connect; an SMGW that is away is told when it is back."""
        if (refused := self._not_allowed(smgw_id, emt_id)) is not None:
            return refused
        if self._standing.state(smgw_id, emt_id) is None:
            return Verdict(200)
        self._standing.set(smgw_id, emt_id, CLOSING)
        if self._gateways.get(smgw_id) is None:
            return Verdict(200)
        verdict = await self._tell(smgw_id, emt_id, CLOSING)
        if verdict.status in KEPT:
            self._tell_later(smgw_id, emt_id)
        return Verdict(200)

    def gateway_is_back(self, smgw_id: str) -> None:
        """Tells a gateway all its orders, in the background, until each has an answer."""
        if (before := self._tellers.get(smgw_id)) is not None:
            before.cancel()  # it waits for the connection that this one replaces
        self._untold[smgw_id] = [emt_id for emt_id, _ in self._standing.of(smgw_id)]
        self._tellers[smgw_id] = asyncio.create_task(self._tell_all(smgw_id, 0))

    async def close(self) -> None:
        """Ends what runs in the background; orders not told yet are on disk."""
        tasks = list(self._tellers.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell_later(self, smgw_id: str, emt_id: str) -> None:
        waiting = self._untold.setdefault(smgw_id, [])
        if emt_id not in waiting:
            waiting.append(emt_id)
        teller = self._tellers.get(smgw_id)
        if teller is None or teller.done():
            self._tellers[smgw_id] = asyncio.create_task(self._tell_all(smgw_id, REPEAT_PAUSE_S))

    async def _tell_all(self, smgw_id: str, pause_s: float) -> None:
        waiting = self._untold[smgw_id]
        while waiting and self._gateways.get(smgw_id) is not None:
            await asyncio.sleep(pause_s)
            pause_s = REPEAT_PAUSE_S
            for emt_id in tuple(waiting):
                state = self._standing.state(smgw_id, emt_id)
                if state is None or (await self._tell(smgw_id, emt_id, state)).status not in KEPT:
                    waiting.remove(emt_id)

    async def _tell(
        self, smgw_id: str, emt_id: str, state: str, uuid: str | None = None
    ) -> Verdict:
        name, path = (
            ("connect", CONNECT_PATH) if state == OPEN else ("disconnect", DISCONNECT_PATH)
        )
        detail = {"smgw_id": smgw_id, "emt_id": emt_id}
        self._events.event("GWA", "SMGW", "message", f"gwa.{name}", uuid=uuid, detail=detail)
        verdict = await self._ask(smgw_id, path, emt_id, uuid)
        done = verdict.status == 200
        if (not done and verdict.status not in KEPT) or (done and state == CLOSING):
            self._standing.drop(smgw_id, emt_id)
        detail |= {"status": verdict.status, "reason": verdict.reason}
        answer = f"gwa.{name}.answer"
        self._events.event("SMGW", "GWA", "message", answer, uuid=uuid, ok=done, detail=detail)
        log.info(
            "%s of EMT %s on %s: %d %s", name, emt_id, smgw_id, verdict.status, verdict.reason
        )
        return verdict

    async def _ask(self, smgw_id: str, path: str, emt_id: str, uuid: str | None) -> Verdict:
        stream = self._gateways.get(smgw_id)
        if stream is None:
            return Verdict(504, f"SMGW {smgw_id} is not connected to this GWA")
        try:
            body = {"emt_id": emt_id} | ({"uuid": uuid} if uuid else {})
            answer = await stream.request("POST", path, json=body)
        except PeerSilent as error:
            return Verdict(504, str(error))
        if answer.status in (200, 204):
            return Verdict(200)
        # to the orderer 404 means that the gateway is away, which passes
        status = 403 if answer.status == 404 else answer.status
        return Verdict(status, f"SMGW {smgw_id}: {answer.error_text()}")

    def _not_allowed(self, smgw_id: str, emt_id: str) -> Verdict | None:
        if not self._config.administers(smgw_id):
            return Verdict(403, f"SMGW {smgw_id} is not administered here")
        if not self._config.allows(emt_id, smgw_id):
            return Verdict(403, f"EMT {emt_id} has no agreement for SMGW {smgw_id}")
        return None
