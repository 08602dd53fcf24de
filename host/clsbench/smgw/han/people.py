"""The resources of the HAN for people: `/smgw/con/v1/` for consumers, `/smgw/srv/v1/` for service.

Reads only, but for the self-test. Translates between HTTP and `Library`; decides nothing.
Sources: BSI Detailspezifikationen 2.0 chapters 6 and 7 (paths, query parameters, signature over
canonical JSON). The names of resource types and of JSON fields are this project's.
"""

import base64
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from clsbench.smgw.core import rights, status
from clsbench.smgw.core.clock_state import TimeSource
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.logs import CALIBRATION_LOG, SYSTEM_LOG, LogEntry, consumer_log
from clsbench.smgw.core.originals import Original
from clsbench.smgw.core.rights import ROLE_CON, Target
from clsbench.smgw.han.library import Library
from clsbench.smgw.han.query import DERIVED, read_query
from clsbench.smgw.han.selftest import SelfTest
from clsbench.smgw.han.signing import DETACHED, Signer, canonical
from clsbench.smgw.han.times import utc_text
from clsbench.smgw.rest import Call, HttpRefusal, Router

OWN_LOG = "consumer"
ROLES = ("con", "srv")
_TYPES = {
    "con": {"rts": ("consumer", "log", "meter", "smgw", "taf"), "exp": ("log", "reading")},
    "srv": {"rts": ("log", "meter", "smgw"), "exp": ("log",)},
}
_LOGS = {"con": (CALIBRATION_LOG, OWN_LOG), "srv": (CALIBRATION_LOG, SYSTEM_LOG)}

Show = Callable[[Call, str], Awaitable[Any]]


class PeopleResources:
    """What consumers and technicians find in the HAN."""

    def __init__(self, library: Library, signer: Signer, selftest: SelfTest, time: TimeSource):
        self._library = library
        self._signer = signer
        self._selftest = selftest
        self._time = time
        self._show: dict[str, Show] = {
            "consumer": self._consumer,
            "log": self._log_facts,
            "meter": self._meter,
            "smgw": self._smgw,
            "taf": self._taf,
        }

    def add_to(self, router: Router) -> None:
        """Enters the resources into a router."""
        role = f"/smgw/(?P<role>{'|'.join(ROLES)})/v1/"
        name = "(?P<id>[^/]{1,64})"
        router.add("GET", "/smgw/", self.roles)
        router.add("GET", role, self.kinds)
        router.add("GET", f"{role}fas/", self.actions)
        router.add("POST", f"{role}fas/selftest", self.selftest)
        router.add("GET", f"{role}rts/time", self.time)
        router.add("GET", f"{role}(?P<kind>rts|exp)/", self.types)
        router.add("GET", f"{role}(?P<kind>rts|exp)/(?P<type>[a-z]{{1,16}})/", self.ids)
        router.add("GET", f"{role}rts/(?P<type>[a-z]{{1,16}})/{name}", self.resource)
        router.add("GET", f"{role}exp/reading/{name}", self.readings)
        router.add("GET", f"{role}exp/log/{name}", self.log)

    async def roles(self, call: Call) -> web.Response:
        """The one role whose resources the caller has."""
        self._library.granted(call.peer, rights.READ_INFO)
        return self._give(call, {"children": [f"{call.peer.role.lower()}/v1/"]})

    async def kinds(self, call: Call) -> web.Response:
        """Resources, actions, exports."""
        self._role(call)
        return self._give(call, {"children": ["exp/", "fas/", "rts/"]})

    async def actions(self, call: Call) -> web.Response:
        """The actions there are."""
        self._role(call)
        return self._give(call, {"children": ["selftest"]})

    async def types(self, call: Call) -> web.Response:
        """The types of resources or exports."""
        kind = call.params["kind"]
        children = [f"{name}/" for name in _TYPES[self._role(call)][kind]]
        return self._give(call, {"children": children + (["time"] if kind == "rts" else [])})

    async def ids(self, call: Call) -> web.Response:
        """The resources of a type."""
        role, kind = self._role(call), call.params["kind"]
        if call.params["type"] not in _TYPES[role][kind]:
            raise HttpRefusal(404, "no such type")
        return self._give(call, {"children": self._children(call, call.params["type"])})

    async def time(self, call: Call) -> web.Response:
        """The gateway's legal time."""
        self._role(call)
        state = self._time.time_state()
        now_ms = self._library.now_ms()
        told = {"utc_ms": now_ms, "state": state.state, "bound_ms": state.bound_ms}
        return self._give(call, told)

    async def resource(self, call: Call) -> web.Response:
        """One resource."""
        role, kind = self._role(call), call.params["type"]
        if kind not in _TYPES[role]["rts"]:
            raise HttpRefusal(404, "no such type")
        return self._give(call, await self._show[kind](call, call.params["id"]))

    async def selftest(self, call: Call) -> web.Response:
        """Begins a self-test; its outcome stands in the system log."""
        self._role(call)
        self._library.granted(call.peer, rights.SELF_TEST)
        if call.body:
            call.json()
        if not self._selftest.begin(call.peer):
            raise HttpRefusal(403, "the last self-test was less than 10 minutes ago")
        return web.json_response({"state": "started"}, status=202)

    async def readings(self, call: Call) -> web.Response:
        """Readings of an evaluation profile: of the original list, or derived."""
        self._role(call)
        taf = self._library.taf(call.peer, call.params["id"])
        known = ("fromtime", "totime", "type", "count", "obis", "signed")
        asked = read_query(call, self._library.now_ms(), *known)
        span = (asked.from_ms, asked.to_ms)
        if asked.kind == DERIVED:
            rows = [_derived(row) for row in await self._library.derived(taf, *span, asked.obis)]
        else:
            found = await self._library.originals(taf, *span, asked.obis, gaps=True)
            rows = [_original(row) for row in found]
        rows = rows[: asked.count] if asked.count else rows
        told = {"taf": taf.profile_id, "type": asked.kind, "readings": rows}
        return self._give(call, told, asked.signed)

    async def log(self, call: Call) -> web.Response:
        """Entries of a log, oldest first."""
        log = self._log_name(call, call.params["id"])
        known = ("fromtime", "totime", "level", "count", "signed")
        asked = read_query(call, self._library.now_ms(), *known)
        entries = await self._library.log(
            call.peer, log, asked.from_ms, asked.to_ms, asked.level, asked.count or None
        )
        told = {"log": call.params["id"], "entries": [log_entry(entry) for entry in entries]}
        return self._give(call, told, asked.signed)

    def _role(self, call: Call) -> str:
        role = call.params["role"]
        if call.peer.role.lower() != role:
            raise HttpRefusal(403, f"role {call.peer.role} may not use /smgw/{role}/")
        self._library.granted(call.peer, rights.READ_INFO)
        return role

    def _children(self, call: Call, kind: str) -> list[str]:
        if kind == "log":
            return list(_LOGS[call.params["role"]])
        if kind == "consumer":
            return [call.peer.name]
        if kind == "smgw":
            return [self._library.profiles.smgw_id.lower()]
        tafs = self._library.tafs(call.peer) if call.peer.role == ROLE_CON else ()
        if kind != "meter":
            return [taf.profile_id for taf in tafs]
        if call.peer.role == ROLE_CON:
            return sorted({taf.meter_id.lower() for taf in tafs})
        return sorted(meter.meter_id.lower() for meter in self._library.profiles.meters)

    def _log_name(self, call: Call, name: str) -> str:
        if name not in _LOGS[self._role(call)]:
            raise HttpRefusal(404, "no such log")
        return consumer_log(call.peer.name) if name == OWN_LOG else name

    async def _consumer(self, call: Call, name: str) -> dict[str, Any]:
        if name != call.peer.name:
            raise HttpRefusal(404, "no such consumer")
        person = self._library.granted(call.peer, rights.READ_INFO).person
        return {"name": name, "customer_id": getattr(person, "customer_id", "")}

    async def _log_facts(self, call: Call, name: str) -> dict[str, Any]:
        newest = await self._library.log(
            call.peer, self._log_name(call, name), count=1, newest_first=True
        )
        return {"log": name, "last_number": newest[0].number if newest else 0}

    async def _meter(self, call: Call, name: str) -> dict[str, Any]:
        meters = self._library.profiles.meters
        found = next((meter for meter in meters if meter.meter_id.lower() == name), None)
        own = found.meter_id if found else name
        self._library.granted(call.peer, rights.READ_METER, Target(meter=own))
        if found is None:
            raise HttpRefusal(404, "no such meter")
        return {
            "meter_id": await self._library.meter_id(own),
            "obis": list(found.obis),
            "period_s": found.period_s,
            "active": found.active,
        }

    async def _smgw(self, call: Call, name: str) -> dict[str, Any]:
        if name != self._library.profiles.smgw_id.lower():
            raise HttpRefusal(404, "no such gateway")
        state = self._time.time_state().state
        return {"smgw_id": self._library.profiles.smgw_id, "time_state": state}

    async def _taf(self, call: Call, name: str) -> dict[str, Any]:
        taf = self._library.taf(call.peer, name)
        registers = await self._library.registers(taf)
        return _profile(taf, self._library.now_ms()) | {
            "meter_id": await self._library.meter_id(taf.meter_id),
            "registers": [{"obis": o, "scaler": s, "unit": u} for o, s, u in registers],
        }

    def _give(self, call: Call, document: Any, signed: bool | None = None) -> web.Response:
        if signed is None:
            signed = read_query(call, 0, "signed").signed
        text = canonical(json.dumps(document, ensure_ascii=False).encode())
        if signed:
            proof = base64.b64encode(self._signer.detached(text))
            text = b'{"content":%b,"signature":"%b","type":"%b"}' % (
                text,
                proof,
                DETACHED.encode(),
            )
        return web.Response(body=text, content_type="application/json")


def log_entry(entry: LogEntry) -> dict[str, Any]:
    """An entry as JSON."""
    return {
        "number": entry.number,
        "time": utc_text(entry.t_ms),
        "level": entry.level,
        "event": entry.event,
        "outcome": entry.outcome,
        "subject": entry.subject,
        "user": entry.user,
        "message": entry.message,
    }


def obis_hex(obis: str) -> str:
    """`0100010800ff` for `1-0:1.8.0*255`."""
    return bytes(int(group) for group in re.split("[-:.*]", obis)).hex()


def _profile(taf: TafProfile, now_ms: int) -> dict[str, Any]:
    validity = taf.validity
    return {
        "taf": taf.profile_id,
        "number": taf.number,
        "state": validity.state(now_ms),
        "valid_from": utc_text(validity.from_ms),
        "valid_to": None if validity.to_ms is None else utc_text(validity.to_ms),
        "period_s": taf.period_ms // 1000,
        "tariff_name": taf.point.tariff_name,
        "usage_point_id": taf.point.point_id,
    }


def _original(row: Original) -> dict[str, Any]:
    return {
        "obis": row.obis,
        "raw": row.raw,
        "scaler": row.scaler,
        "unit": row.unit,
        "captured_ms": row.captured_ms,
        "due_ms": row.due_ms,
        "status": status.to_hex(row.status),
        "ptb": row.ptb,
        "time_state": row.time_state,
    }


def _derived(row: Derived) -> dict[str, Any]:
    return {
        "obis": row.obis,
        "raw": row.raw,
        "scaler": row.scaler,
        "unit": row.unit,
        "start_ms": row.start_ms,
        "end_ms": row.end_ms,
        "status": status.to_hex(row.status),
        "ptb": row.ptb,
        "closed": row.closed,
    }
