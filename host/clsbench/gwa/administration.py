"""What the administrator asks of its gateways over the management connection.

One method for each act; each is told in the event log and in the administrator's own log before
it returns, with its outcome. What an act means is the gateway's business.
"""

import asyncio
import base64
import logging
from typing import Any

from clsbench.errors import BadInput, ClsbenchError, PeerRefused, PeerSilent
from clsbench.eventlog import EventLog
from clsbench.gwa.acts import Acts
from clsbench.gwa.channels import ChannelOrders
from clsbench.gwa.config import GwaConfig
from clsbench.gwa.renewal import Renewals, serial_numbers
from clsbench.gwa.wakeup import Gateways

BASE = "/smgw/gwa/v1"
LATER = (408, 502, 503, 504)

log = logging.getLogger("clsbench.gwa.administration")


class Administration:
    """`gateways` are the management connections, keyed by smgw_id.

    Methods raise BadInput (the gateway says the content is wrong), PeerRefused, PeerSilent.
    smgw_id "": the one gateway that is administered here.
    """

    def __init__(
        self,
        config: GwaConfig,
        gateways: Gateways,
        orders: ChannelOrders,
        events: EventLog,
        acts: Acts,
    ):
        self._config = config
        self._gateways = gateways
        self._orders = orders
        self._events = events
        self._acts = acts
        self._renewals = Renewals(config)

    async def change_profiles(
        self, smgw_id: str, put: dict[str, list[Any]], remove: list[list[str]]
    ) -> dict[str, Any]:
        """Puts and removes profiles, all or none: {"changes": [sentence]}."""
        named = [f"{kind} {len(each)}" for kind, each in put.items()] + [
            f"remove {' '.join(key)}" for key in remove
        ]
        body = {"put": put, "remove": remove}
        return await self._ask("profiles", smgw_id, "POST", "/fas/profiles", body, what=named)

    async def profiles(self, smgw_id: str, everything: bool) -> dict[str, Any]:
        """{"profiles": [version]}; everything: archived versions too."""
        return await self._ask("list", smgw_id, "GET", f"/rts/profiles?all={int(everything)}")

    async def logs(self, smgw_id: str, name: str, query: str) -> dict[str, Any]:
        """{"entries": [entry]} of the gateway's system or calibration log."""
        return await self._ask("logs", smgw_id, "GET", f"/rts/log/{name}?{query}", log=name)

    async def version(self, smgw_id: str) -> dict[str, Any]:
        """{"smgw_id", "firmware": [{"component", "version", "checksum"}]}."""
        return await self._ask("version", smgw_id, "GET", "/rts/version")

    async def status(self, smgw_id: str) -> dict[str, Any]:
        """How the gateway is."""
        return await self._ask("status", smgw_id, "GET", "/rts/status")

    async def renew(self, smgw_id: str) -> dict[str, Any]:
        """Has new keys of the gateway's triplet certified: {"renewed": [...]}.

        The gateway makes the keys and asks; it is judged here, the sub-CA certifies, and the
        gateway takes the certificates or keeps what it has.
        """
        smgw_id = self._one(smgw_id)
        asked = await self._ask("renew.requests", smgw_id, "POST", "/fas/certificate-requests", {})
        try:
            package = base64.b64decode(asked.get("package", ""), validate=True)
            issued = await asyncio.to_thread(self._renewals.issue, smgw_id, package)
        except (ClsbenchError, ValueError, TypeError) as error:
            self._certified(smgw_id, False, reason=str(error))
            if isinstance(error, ClsbenchError):
                raise
            raise PeerRefused(f"SMGW {smgw_id}: no package of requests: {error}") from error
        self._certified(smgw_id, True, serials=serial_numbers(issued))
        body = {"certificates": {purpose: pem.decode() for purpose, pem in issued.items()}}
        answer = await self._ask("renew", smgw_id, "POST", "/fas/certificates", body)
        await asyncio.to_thread(self._renewals.keep, smgw_id, issued)
        return answer

    async def connect(self, smgw_id: str, emt_id: str) -> dict[str, Any]:
        """Orders the channel to a participant; the order stands until `disconnect`."""
        verdict = await self._orders.connect(self._one(smgw_id), emt_id)
        return self._ended("connect", smgw_id, emt_id, verdict.status, verdict.reason, "open")

    async def disconnect(self, smgw_id: str, emt_id: str) -> dict[str, Any]:
        """Ends the channel to a participant and the order for it."""
        verdict = await self._orders.disconnect(self._one(smgw_id), emt_id)
        return self._ended("disconnect", smgw_id, emt_id, verdict.status, verdict.reason, "closed")

    def _ended(
        self, act: str, smgw_id: str, emt_id: str, status: int, reason: str, state: str
    ) -> dict[str, Any]:
        smgw_id = self._one(smgw_id)
        self._acts.note(act, smgw_id, status == 200, emt_id=emt_id, reason=reason)
        if status != 200:
            raise (PeerSilent if status in LATER else PeerRefused)(reason)
        return {"smgw_id": smgw_id, "emt_id": emt_id, "state": state}

    async def _ask(
        self,
        act: str,
        smgw_id: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        **told: Any,
    ) -> dict[str, Any]:
        smgw_id = self._one(smgw_id)
        detail = {"smgw_id": smgw_id, **told}
        self._events.event("GWA", "SMGW", "message", f"gwa.{act}", detail=detail)
        try:
            answer = await self._answered(smgw_id, method, BASE + path, body)
        except ClsbenchError as error:
            self._tell(act, smgw_id, False, {**told, "reason": str(error)})
            raise
        self._tell(act, smgw_id, True, told)
        return answer

    async def _answered(
        self, smgw_id: str, method: str, path: str, body: dict[str, Any] | None
    ) -> dict[str, Any]:
        stream = await self._gateways.reach(smgw_id)
        if stream is None:
            raise PeerSilent(
                f"SMGW {smgw_id} is not connected to this GWA. Wake it: clsbench gwa wake"
            )
        answer = await stream.request(method, path, json=body)
        if answer.status == 200:
            return answer.json()
        reason = f"SMGW {smgw_id}: {answer.error_text()}"
        if answer.status == 422:
            raise BadInput(reason)
        raise (PeerSilent if answer.status in LATER else PeerRefused)(reason)

    def _certified(self, smgw_id: str, ok: bool, **told: Any) -> None:
        self._acts.note("renew.certify", smgw_id, ok, **told)
        detail = {"smgw_id": smgw_id, **told}
        self._events.event("GWA", "GWA", "state", "gwa.renew.certify", ok=ok, detail=detail)

    def _tell(self, act: str, smgw_id: str, ok: bool, told: dict[str, Any]) -> None:
        self._acts.note(act, smgw_id, ok, **told)
        detail = {"smgw_id": smgw_id, **told}
        self._events.event("SMGW", "GWA", "message", f"gwa.{act}.answer", ok=ok, detail=detail)
        log.info("%s on %s: %s", act, smgw_id, "done" if ok else told.get("reason"))

    def _one(self, smgw_id: str) -> str:
        known = [entry.id for entry in self._config.smgw]
        if not smgw_id and len(known) == 1:
            return known[0]
        if smgw_id not in known:
            names = ", ".join(known) or "none"
            raise BadInput(f"SMGW '{smgw_id}' is not administered here; give one of: {names}")
        return smgw_id
