"""What the gateway answers to its administrator over the management connection.

Connect and Disconnect, profiles, logs, firmware versions, status. Translates between HTTP and the
gateway's parts; decides nothing that `core.rights` decides. Every question is told in the system
log. Paths and names are this project's.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from clsbench import steps
from clsbench.errors import BadInput
from clsbench.smgw.administered import read_order
from clsbench.smgw.administration import Administration
from clsbench.smgw.archive import Archive
from clsbench.smgw.core import rights
from clsbench.smgw.core.fields import object_body, text_field, uuid_of_switching
from clsbench.smgw.core.logs import LEVELS
from clsbench.smgw.core.profiles import EmtProfile
from clsbench.smgw.core.rights import Rights, Target
from clsbench.smgw.han.facts import Facts
from clsbench.smgw.journal import FAILURE, SMGW, WARNING, Journal
from clsbench.smgw.rest import Call, HttpRefusal
from clsbench.smgw.wan.certificates import CertificateRenewal, NothingAsked
from clsbench.smgw.wan.channels import ChannelRefused, EmtChannels
from clsbench.smgw.wan.resources import MAX_NAME_BYTES, Resources
from clsbench.smgw.worker import StoreWorker

GWA_BASE = "/smgw/gwa/v1"
SPAN = ("from", "to")
DEFAULT_ENTRIES = 50
MAX_ENTRIES = 1000  # of one answer, as products have it

Status = Callable[[], Awaitable[dict[str, Any]]]


class GwaResources(Resources):
    """For the administrator. connect_s: real time a channel has to open."""

    def __init__(
        self,
        authority: Rights,
        journal: Journal,
        channels: EmtChannels,
        status: Status,
        connect_s: float,
        administration: Administration,
        archive: Archive,
        worker: StoreWorker,
        facts: Facts,
        renewal: CertificateRenewal,
    ):
        super().__init__(authority, journal)
        self._channels = channels
        self._status = status
        self._connect_s = connect_s
        self._administration = administration
        self._archive = archive
        self._worker = worker
        self._facts = facts
        self._renewal = renewal
        self.router.add("POST", f"{GWA_BASE}/fas/connect", self.connect)
        self.router.add("POST", f"{GWA_BASE}/fas/disconnect", self.disconnect)
        self.router.add("GET", f"{GWA_BASE}/rts/status", self.status)
        self.router.add("POST", f"{GWA_BASE}/fas/profiles", self.order)
        self.router.add("GET", f"{GWA_BASE}/rts/profiles", self.profiles)
        self.router.add(
            "GET", f"{GWA_BASE}/rts/log/(?P<log>system|calibration|consumer/.+)", self.log
        )
        self.router.add("GET", f"{GWA_BASE}/rts/version", self.version)
        self.router.add("POST", f"{GWA_BASE}/fas/certificate-requests", self.requests)
        self.router.add("POST", f"{GWA_BASE}/fas/certificates", self.certificates)

    async def connect(self, call: Call) -> web.Response:
        """Opens the channel to a market participant and keeps it open."""
        body = object_body(call.json())
        uuid = uuid_of_switching(body)
        told = {"emt_id": body.get("emt_id"), "smgw_id": self._administration.smgw_id}
        try:
            emt = self._emt(call, rights.CONNECT)
        except HttpRefusal as no:
            self.journal.step(steps.RIGHTS, "GWA", SMGW, uuid, ok=False, reason=str(no), **told)
            raise
        self.journal.step(steps.RIGHTS, "GWA", SMGW, uuid, **told)
        self.journal.event("GWA", SMGW, "message", "connect", detail={"emt_id": emt.name})
        self.journal.system("connect", call.peer.name, f"channel to {emt.name} wanted")
        try:
            await self._channels.connect(emt, self._connect_s)
        except ChannelRefused as refused:
            no = {"reason": str(refused)}
            self.journal.step(steps.TLS, SMGW, "aEMT", uuid, ok=False, **told, **no)
            raise HttpRefusal(502, str(refused)) from refused
        self.journal.step(steps.TLS, SMGW, "aEMT", uuid, **told)
        return web.json_response({"state": "open"})

    async def disconnect(self, call: Call) -> web.Response:
        """Ends the channel to a market participant."""
        emt = self._emt(call, rights.DISCONNECT)
        self.journal.event("GWA", SMGW, "message", "disconnect", detail={"emt_id": emt.name})
        self.journal.system("disconnect", call.peer.name, f"channel to {emt.name} unwanted")
        await self._channels.disconnect(emt.name)
        return web.json_response({"state": "closed"})

    async def status(self, call: Call) -> web.Response:
        """How the gateway is."""
        self.granted(call, rights.READ_STATUS, rights.NOTHING)
        return web.json_response(await self._status())

    async def order(self, call: Call) -> web.Response:
        """Puts and removes profiles: {"put": {kind: [section]}, "remove": [[kind, name]]}."""
        self.granted(call, rights.CHANGE_PROFILES, rights.NOTHING)
        body = object_body(call.json())
        try:
            order = read_order(body.get("put"), body.get("remove"))
            changes = await self._administration.order(order, call.peer.name)
        except BadInput as error:
            raise HttpRefusal(422, str(error)) from error
        return web.json_response({"changes": changes})

    async def profiles(self, call: Call) -> web.Response:
        """The profiles in force; `?all=1`: every version there was."""
        self.granted(call, rights.LIST_PROFILES, rights.NOTHING)
        everything = call.uint("all", 0, 1)
        versions = await self._worker.run(self._administration.versions)
        found = [asdict(each) for each in versions if everything or each.archived_ms is None]
        self._asked(call, "profiles", f"{len(found)} listed")
        return web.json_response({"profiles": found})

    async def log(self, call: Call) -> web.Response:
        """The newest entries of the system or calibration log, oldest first.

        `?count=`, `level=`, `from=`, `to=` (UTC ms).
        """
        log = call.params["log"]
        self.granted(call, rights.READ_LOG, Target(log=log))
        query = call.request.query
        level = query.get("level") or None
        if level not in (None, *LEVELS):
            raise HttpRefusal(422, f"level: expected one of {', '.join(LEVELS)}")
        from_ms, to_ms = (_instant(query.get(name)) for name in SPAN)
        entries = await self._worker.run(
            self._archive.log_entries,
            log,
            from_ms,
            to_ms,
            level=level,
            count=call.uint("count", DEFAULT_ENTRIES, MAX_ENTRIES),
            newest_first=True,
        )
        self._asked(call, f"log.{log}", f"{len(entries)} entries")
        return web.json_response({"entries": [asdict(entry) for entry in reversed(entries)]})

    async def version(self, call: Call) -> web.Response:
        """Versions of the firmware's components."""
        self.granted(call, rights.READ_INFO, rights.NOTHING)
        names = ("component", "version", "checksum")
        found = [dict(zip(names, each, strict=True)) for each in self._facts.versions()]
        self._asked(call, "version", self._facts.version)
        return web.json_response({"smgw_id": self._administration.smgw_id, "firmware": found})

    async def requests(self, call: Call) -> web.Response:
        """New keys, and requests to have them certified: {"package": base64 of SignedData}."""
        self.granted(call, rights.RENEW_CERTIFICATES, rights.NOTHING)
        package = await asyncio.to_thread(self._renewal.requests, datetime.now(UTC))
        told = "requests for new keys of tls, enc, sig"
        self.journal.event("GWA", SMGW, "message", "certificate.requested")
        self.journal.system("certificate.requested", call.peer.name, told)
        return web.json_response({"package": base64.b64encode(package).decode()})

    async def certificates(self, call: Call) -> web.Response:
        """Takes the certificates for what was requested: {"certificates": {purpose: PEM}}.

        New connections and signatures take them; what is open stays.
        """
        self.granted(call, rights.RENEW_CERTIFICATES, rights.NOTHING)
        given = object_body(call.json()).get("certificates")
        if not isinstance(given, dict) or not all(isinstance(pem, str) for pem in given.values()):
            raise HttpRefusal(422, "certificates: expected an object of PEM texts")
        try:
            taken = await asyncio.to_thread(self._renewal.take, given, datetime.now(UTC))
        except (BadInput, NothingAsked) as error:
            self.journal.system("renew", call.peer.name, str(error), WARNING, FAILURE)
            raise HttpRefusal(422 if isinstance(error, BadInput) else 409, str(error)) from error
        renewed = []
        for each in taken:
            told = {"cn": each.cn, "file": each.file}
            told |= {"serial": f"{each.now:x}", "before": f"{each.before:x}"}
            message = f"{each.file}: serial number {each.now:x}, was {each.before:x}"
            self.journal.event("GWA", SMGW, "state", "certificate.renewed", detail=told)
            self.journal.system("certificate.renewed", call.peer.name, message)
            renewed.append(told)
        return web.json_response({"renewed": renewed})

    def _asked(self, call: Call, what: str, told: str) -> None:
        detail = {"peer": call.peer.cn, "told": told}
        self.journal.event("GWA", SMGW, "message", f"asked.{what}", detail=detail)
        self.journal.system(f"asked.{what}", call.peer.name, told)

    def _emt(self, call: Call, action: str) -> EmtProfile:
        name = text_field(object_body(call.json()), "emt_id", MAX_NAME_BYTES)
        emt = self.granted(call, action, Target(emt=name)).emt
        if emt is None:
            raise HttpRefusal(404, f"no EMT profile '{name}'")
        return emt


def _instant(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
