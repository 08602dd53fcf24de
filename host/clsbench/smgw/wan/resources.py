"""What the gateway answers to market participants; to its administrator: `gwa_resources`.

Translates between HTTP and the gateway's parts; decides nothing that `core.rights` decides.
Source: FlexMC final report (Connect, events and commands over the aEMT channel). Paths and
names are this project's.
"""

from typing import Any

from aiohttp import web

from clsbench import steps
from clsbench.pki.names import Peer
from clsbench.smgw.commands import ClsSilent, CommandConflict, CommandDesk
from clsbench.smgw.core import rights
from clsbench.smgw.core.commands import read_command
from clsbench.smgw.core.fields import object_body, text_field
from clsbench.smgw.core.rights import Grant, Refusal, Rights, Target
from clsbench.smgw.core.taf16 import WAN, Conflict, read_announcement
from clsbench.smgw.journal import LANE_OF_ROLE, SMGW, Journal
from clsbench.smgw.rest import CLS_ID, Call, HttpRefusal, Router
from clsbench.smgw.tariffs import MeterSilent, Tariffs

EMT_BASE = "/smgw/emt/v1"
MAX_NAME_BYTES = 64


class Resources:
    """What both have: rights asked, refusals told."""

    def __init__(self, authority: Rights, journal: Journal):
        self.journal = journal
        self._rights = authority
        self.router = Router(self._refused)

    def granted(self, call: Call, action: str, target: Target, uuid: str | None = None) -> Grant:
        """The grant. Raises HttpRefusal."""
        verdict = self._rights.decide(call.peer, action, target)
        if isinstance(verdict, Refusal):
            raise HttpRefusal(verdict.http_status, verdict.reason, uuid)
        return verdict

    def _refused(self, peer: Peer, request: web.BaseRequest, refusal: HttpRefusal) -> None:
        detail = {"method": request.method, "path": request.path, "status": refusal.status}
        self.journal.refused(
            LANE_OF_ROLE[peer.role], "wan.refused", peer.name, str(refusal), refusal.uuid, detail
        )


class EmtResources(Resources):
    """For market participants: commands to control boxes, events of their own."""

    def __init__(self, authority: Rights, journal: Journal, desk: CommandDesk, tariffs: Tariffs):
        super().__init__(authority, journal)
        self._desk = desk
        self._tariffs = tariffs
        self.router.add("POST", f"{EMT_BASE}/cls/{CLS_ID}/command", self.command)
        self.router.add("POST", f"{EMT_BASE}/fas/event", self.event)
        self.router.add("POST", f"{EMT_BASE}/fas/read", self.read)

    async def command(self, call: Call) -> web.Response:
        """Forwards a command to a control box and answers with what the box said."""
        command = read_command(call.json(), call.params["cls_id"].upper(), call.peer.name)
        self.journal.event(
            "aEMT",
            SMGW,
            "message",
            "command.in",
            uuid=command.uuid,
            detail=command.for_cls()
            | {"cls_id": command.cls_id, "taf_profile": command.taf_profile},
            raw=call.body,
        )
        target = Target(cls_id=command.cls_id, taf_profile=command.taf_profile)
        told: dict[str, Any] = {"action": command.action, "cls_id": command.cls_id}
        try:
            grant = self.granted(call, rights.COMMAND_CLS, target, command.uuid)
        except HttpRefusal as no:
            told |= {"reason": str(no)}
            self.journal.step(steps.RIGHTS, "aEMT", SMGW, command.uuid, ok=False, **told)
            raise
        self.journal.step(steps.RIGHTS, "aEMT", SMGW, command.uuid, **told)
        try:
            answer = await self._desk.submit(command, grant.tafs[0].final_consumer)
            self._tariffs.keep_next(grant.tafs[0].meter_id)
        except CommandConflict as conflict:
            raise HttpRefusal(409, str(conflict), command.uuid) from conflict
        except ClsSilent as silent:
            raise HttpRefusal(504, str(silent), command.uuid) from silent
        return web.json_response(answer.as_json())

    async def event(self, call: Call) -> web.Response:
        """An event that the market participant causes; the body names the TAF16 profile."""
        body = object_body(call.json())
        announcement = read_announcement(body, WAN)
        profile_id = text_field(body, "taf_profile", MAX_NAME_BYTES)
        target = Target(cls_id=announcement.cls_id, taf_profile=profile_id)
        grant = self.granted(call, rights.SIGNAL_EVENT, target, announcement.uuid)
        try:
            records = await self._tariffs.announce(announcement, grant.tafs)
        except Conflict as conflict:
            raise HttpRefusal(409, str(conflict), announcement.uuid) from conflict
        except MeterSilent as silent:
            raise HttpRefusal(503, str(silent), announcement.uuid) from silent
        first = records[0]
        return web.json_response({"seq": first.seq, "captured_ms": first.captured_ms})

    async def read(self, call: Call) -> web.Response:
        """A reading on demand (TAF9, TAF10); the body names the profile."""
        profile_id = text_field(object_body(call.json()), "taf_profile", MAX_NAME_BYTES)
        grant = self.granted(call, rights.FETCH_STATE, Target(taf_profile=profile_id))
        try:
            record = await self._tariffs.fetch(grant.tafs[0])
        except MeterSilent as silent:
            raise HttpRefusal(503, str(silent)) from silent
        return web.json_response({"seq": record.seq, "captured_ms": record.captured_ms})
