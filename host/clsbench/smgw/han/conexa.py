"""The `m2m` JSON interface as CONEXA gateways have it, for clients written for those.

Every scalar is a string. Readings with fromtime < t <= totime, the log with fromtime <= t <
totime. Knows the format; what may be read is `Library`'s to say.
Source: Theben IF_GW_CON; what clients of the field send.
"""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from clsbench.pki.names import Peer
from clsbench.smgw.core import rights, status
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.legal_time import local
from clsbench.smgw.core.logs import LogEntry, consumer_log
from clsbench.smgw.core.originals import Original
from clsbench.smgw.core.periods import period_at
from clsbench.smgw.core.rights import ROLE_CON
from clsbench.smgw.han.connection import Visitor
from clsbench.smgw.han.door import Door
from clsbench.smgw.han.library import FIELD_SCALER, WH, Library, event_number, has_periods, raised
from clsbench.smgw.han.people import obis_hex
from clsbench.smgw.han.selftest import SelfTest
from clsbench.smgw.han.signing import Signer
from clsbench.smgw.han.times import iso_ms, utc_text
from clsbench.smgw.rest import Call, HttpRefusal, read_body

ROOT = "/smgw/m2m"
VERSION = "1.3.0"
MAX_ENTRIES = 1500
MAX_DAYS = 31
DAY_MS = 86_400_000
ORIGIN, DERIVED = "origin", "derived"
DATABASES = (ORIGIN, DERIVED, "calculated", "daily")
VENDOR = "clsbench"

Method = Callable[[Peer, dict[str, Any]], Awaitable[Any]]
Facts = Callable[[], dict[str, Any]]


class Conexa:
    """Answers below ROOT. facts: certificates and firmware, as `smgw-info` shows them."""

    def __init__(
        self, library: Library, door: Door, selftest: SelfTest, signer: Signer, facts: Facts
    ):
        self._library = library
        self._signer = signer
        self._door = door
        self._selftest = selftest
        self._facts = facts
        self._methods: dict[str, Method] = {
            "smgw-info": self._smgw_info,
            "user-info": self._user_info,
            "usage-point-info": self._usage_point_info,
            "readings": self._readings,
            "log": self._log,
            "self-test": self._self_test,
        }

    def serves(self, path: str) -> bool:
        """True for paths of this dialect."""
        return path == ROOT or path.startswith(f"{ROOT}/")

    async def answer(self, visitor: Visitor, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to a request below ROOT. Raises HttpRefusal."""
        peer = self._door.enter(visitor, request, lenient=True)
        if peer.role != ROLE_CON:
            raise HttpRefusal(403, "this interface is for consumers")
        own = f"{ROOT}/{self._user(peer)}/json"
        body = await read_body(request)
        if request.path in (ROOT, f"{ROOT}/"):
            if request.method not in ("GET", "POST"):
                raise HttpRefusal(405, "use GET or POST")
            return web.Response(status=307, headers={"Location": own})
        if request.path != own:
            raise HttpRefusal(404, "no such path")
        if request.method != "POST":
            raise HttpRefusal(405, "use POST")
        return await self._call(peer, Call(peer, request, {}, body))

    def _user(self, peer: Peer) -> str:
        consumer = self._library.profiles.consumer(peer.name)
        login = consumer.login if consumer is not None and consumer.login else peer.name
        return f"{login}.sm"

    async def _call(self, peer: Peer, call: Call) -> web.Response:
        begun = time.monotonic()
        try:
            asked = json.loads(call.body)
        except (ValueError, RecursionError) as error:
            raise HttpRefusal(400, "body is not JSON") from error
        name = asked.get("method") if isinstance(asked, dict) else None
        method = self._methods.get(name) if isinstance(name, str) else None
        if method is None:
            raise HttpRefusal(400, f"method: one of {', '.join(self._methods)} expected")
        content = await method(peer, asked)
        elapsed = int((time.monotonic() - begun) * 1000)
        return web.json_response(
            {
                "elapsed-time": f"{elapsed} miliseconds",
                "method": name,
                name: content,
                "version": VERSION,
            }
        )

    async def _smgw_info(self, peer: Peer, asked: dict[str, Any]) -> dict[str, Any]:
        self._library.granted(peer, rights.READ_INFO)
        return self._facts() | {
            "smgw-id": f"{self._library.profiles.smgw_id.lower()}.sm",
            "smgw-state": "a0000000",
            "smgw-time": utc_text(self._library.now_ms()),
        }

    async def _user_info(self, peer: Peer, asked: dict[str, Any]) -> dict[str, Any]:
        points = [await self._usage_point(taf) for taf in self._library.tafs(peer)]
        return {"usage-points": points}

    async def _usage_point(self, taf: TafProfile) -> dict[str, Any]:
        now_ms, validity, point = self._library.now_ms(), taf.validity, taf.point
        latest = await self._library.latest(taf)
        captured = max((row.captured_ms or 0 for row in latest), default=validity.from_ms)
        periods = [period_at(taf, now_ms)] if has_periods(taf) else []
        return {
            "usage-point-id": taf.profile_id,
            "usage-point-name": point.name or point.tariff_name or taf.profile_id,
            "taf-number": str(taf.number),
            "taf-state": validity.state(now_ms),
            "start-time": utc_text(validity.from_ms),
            "end-time": utc_text(validity.to_ms or iso_ms("2099-12-31")),
            "capture-time": utc_text(captured),
            "billing-Periods": [
                {"start-time": utc_text(start), "end-time": utc_text(end)}
                for start, end in periods
            ],
            "meter": [{"meter-id": f"{await self._library.meter_id(taf.meter_id)}".lower()}],
            "metering-point-id": point.metering_point_id or point.point_id,
            "delivery-id": point.delivery_id,
            "on-demand-profile-configured": "true" if taf.number == 6 else "false",
        }

    async def _usage_point_info(self, peer: Peer, asked: dict[str, Any]) -> dict[str, Any]:
        taf = self._taf(peer, asked)
        first = self._database(asked, None)
        channels = [
            {"obis": obis_hex(obis), "scaler": str(scaler), "unit": str(unit)}
            for obis, scaler, unit in await self._channels(taf)
        ]
        names = [first] if first else [ORIGIN]
        if first is None and await self._derived_channels(taf):
            names.append(DERIVED)
        databases = [
            {
                "database": name,
                "channels": channels if name == ORIGIN else await self._derived_channels(taf),
            }
            for name in names
        ]
        return {
            "databases": databases,
            "emts": [f"{emt}.emt" for emt in taf.emts],
            "taf-profile": self._signer.enclosed(repr(taf).encode()).hex(),
            "transparency-bit": "true",
            "usage-point-id": taf.profile_id,
            "usage-point-name": taf.point.name or taf.point.tariff_name or taf.profile_id,
        }

    async def _channels(self, taf: TafProfile) -> list[tuple[str, int, int]]:
        """Energy in tenths of a watt-hour; energy alone for TAF 1 and 7."""
        found = await self._library.registers(taf)
        if taf.number in (1, 2, 6, 7):
            found = [one for one in found if one[2] == WH]
        return [(obis, FIELD_SCALER if u == WH else scaler, u) for obis, scaler, u in found]

    async def _derived_channels(self, taf: TafProfile) -> list[dict[str, str]]:
        rows = await self._library.derived(taf, None, None)
        seen = {row.obis: row for row in rows}
        return [
            {"obis": obis_hex(obis), "scaler": str(FIELD_SCALER), "unit": str(row.unit)}
            for obis, row in seen.items()
        ]

    async def _readings(self, peer: Peer, asked: dict[str, Any]) -> dict[str, Any]:
        taf = self._taf(peer, asked)
        wanted = _wanted(asked)
        if self._database(asked, ORIGIN) == ORIGIN:
            channels = await self._original_channels(taf, asked)
        else:
            rows = await self._library.derived(taf, *self._span(asked, None))
            channels = {}
            for row in rows:
                if row.raw is not None:
                    channels.setdefault(row.obis, []).append(_derived(row))
        shown = [
            {"obis": obis_hex(obis), "readings": rows}
            for obis, rows in channels.items()
            if not wanted or obis_hex(obis) in wanted
        ]
        records = sum(len(channel["readings"]) for channel in shown)
        return {"channels": shown, "records": str(records)}

    async def _original_channels(
        self, taf: TafProfile, asked: dict[str, Any]
    ) -> dict[str, list[dict[str, Any]]]:
        scalers = {obis: scaler for obis, scaler, _ in await self._channels(taf)}
        if _true(asked.get("last-reading")):
            rows = await self._library.latest(taf)
        else:
            rows = await self._library.originals(taf, *self._span(asked, DAY_MS))
        channels: dict[str, list[dict[str, Any]]] = {obis: [] for obis in scalers}
        for row in rows:
            if row.obis in channels:
                channels[row.obis].append(_original(row, scalers[row.obis]))
        return channels

    async def _log(self, peer: Peer, asked: dict[str, Any]) -> dict[str, Any]:
        count = _number(asked, "count")
        first = _number(asked, "fromindex")
        span = self._log_span(asked)
        if first is not None and span != (None, None):
            raise HttpRefusal(400, "fromindex: with count or alone")
        entries = await self._library.log(
            peer,
            consumer_log(peer.name),
            *span,
            count=min(count or MAX_ENTRIES, MAX_ENTRIES),
            from_number=first or 1,
        )
        shown = [_entry(entry) for entry in entries]
        return {"entries": shown, "records": str(len(shown))}

    async def _self_test(self, peer: Peer, asked: dict[str, Any]) -> dict[str, Any]:
        self._library.granted(peer, rights.SELF_TEST)
        if not self._selftest.begin(peer):
            raise HttpRefusal(403, "the last self-test was less than 10 minutes ago")
        return {"state": "started"}

    def _taf(self, peer: Peer, asked: dict[str, Any]) -> TafProfile:
        name = asked.get("usage-point-id")
        if not isinstance(name, str) or not name or not name.isprintable():
            raise HttpRefusal(400, "usage-point-id is missing or no text")
        return self._library.taf(peer, name)

    def _database(self, asked: dict[str, Any], default: str | None) -> str | None:
        name = asked.get("database", default)
        if name is not None and name not in DATABASES:
            raise HttpRefusal(400, f"database: one of {', '.join(DATABASES)} expected")
        return name

    def _span(self, asked: dict[str, Any], default_ms: int | None) -> tuple[int, int]:
        """fromtime < t <= totime, as from inclusive and to exclusive."""
        to_ms = _time(asked, "totime")
        to_ms = self._library.now_ms() if to_ms is None else to_ms
        from_ms = _time(asked, "fromtime")
        if from_ms is None:
            from_ms = max(0, to_ms - (default_ms or MAX_DAYS * DAY_MS))
        _check_days(from_ms, to_ms)
        return from_ms + 1, to_ms + 1

    def _log_span(self, asked: dict[str, Any]) -> tuple[int | None, int | None]:
        from_ms, to_ms = _time(asked, "fromtime"), _time(asked, "totime")
        if from_ms is not None:
            _check_days(from_ms, self._library.now_ms() if to_ms is None else to_ms)
        return from_ms, to_ms


def _check_days(from_ms: int, to_ms: int) -> None:
    """31 days by the clock or by the wall: a long October is one request."""
    by_wall = (local(max(0, to_ms)) - local(max(0, from_ms))).total_seconds() * 1000
    if min(to_ms - from_ms, by_wall) > MAX_DAYS * DAY_MS:
        raise HttpRefusal(400, f"more than {MAX_DAYS} days")


def _time(asked: dict[str, Any], name: str) -> int | None:
    text = asked.get(name)
    if text is None or text == "":
        return None
    try:
        return iso_ms(text)
    except (ValueError, TypeError, OverflowError) as error:
        raise HttpRefusal(400, f"{name}: expected like 2026-10-25T01:15:00Z") from error


def _number(asked: dict[str, Any], name: str) -> int | None:
    value = asked.get(name)
    if value is None or value == "":
        return None
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 9:
        raise HttpRefusal(400, f"{name}: expected a number")
    return int(text)


def _true(value: Any) -> bool:
    return value is True or value == "true"


def _wanted(asked: dict[str, Any]) -> set[str]:
    """OBIS in hex, from `channels: [{"channel": obis}]`; whatever else stands there is ignored."""
    channels = asked.get("channels")
    named = channels if isinstance(channels, list) else []
    texts = [one.get("channel") for one in named if isinstance(one, dict)]
    return {text.split(".")[0].lower() for text in texts if isinstance(text, str)}


def _original(row: Original, scaler: int) -> dict[str, Any]:
    return _reading(
        raised(row.raw or 0, row.scaler, scaler),
        row.captured_ms or row.at_ms,
        row.at_ms,
        row.status,
    )


def _derived(row: Derived) -> dict[str, Any]:
    value = raised(row.raw or 0, row.scaler, FIELD_SCALER)
    return _reading(value, row.end_ms, row.end_ms, row.status)


def _reading(value: int, captured_ms: int, target_ms: int, word: int) -> dict[str, Any]:
    told = status.to_hex(word).lower()
    return {
        "value": str(value),
        "capture-time": utc_text(captured_ms),
        "target-time": utc_text(target_ms),
        "owner-number": "0",
        "smgw-status": told[:8],
        "meter-status": told[8:],
        "cosem-status": told,
        "signature": None,
    }


def _entry(entry: LogEntry) -> dict[str, str]:
    return {
        "index": str(entry.number),
        "event-id": str(event_number(entry.event)),
        "event-sub-id": "0",
        "level": entry.level,
        "message": f"{entry.event}: {entry.message}",
        "outcome": entry.outcome,
        "subject-identity": entry.subject,
        "time": utc_text(entry.t_ms),
        "user-identity": entry.user or entry.subject,
        "vendor-id": VENDOR,
        "version": "1",
    }
