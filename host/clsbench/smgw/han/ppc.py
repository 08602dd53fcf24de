"""The `hanservice.cgi` interface as PPC gateways have it, for clients written for those.

HTML for people, CMS around K461 XML as exports; refusals come with status 200 as text. Knows
the actions; pages, XML and sessions have modules of their own.
Source: clients of the field and their threads.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from clsbench.pki.names import Peer
from clsbench.smgw.core import rights
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.logs import consumer_log
from clsbench.smgw.core.originals import Original
from clsbench.smgw.core.parties import MeterProfile
from clsbench.smgw.core.rights import ROLE_CON
from clsbench.smgw.han import k461, ppc_pages
from clsbench.smgw.han.connection import Visitor
from clsbench.smgw.han.door import Door
from clsbench.smgw.han.library import WH, Library
from clsbench.smgw.han.ppc_sessions import Session, Sessions, session_cookies
from clsbench.smgw.han.selftest import SelfTest
from clsbench.smgw.han.signing import Signer
from clsbench.smgw.han.times import wall_ms
from clsbench.smgw.rest import HttpRefusal, read_body

URL = ppc_pages.URL
MAX_LOG_ENTRIES = 1000
DAY_MS = 86_400_000
MAX_SPAN_MS = 460 * DAY_MS
NO_DATA = "Keine Daten vorhanden."
NO_SESSION = "Invalide Session"
MAX_FIELDS = 64

Versions = Callable[[], list[tuple[str, str, str]]]


class Told(Exception):
    """The answer is this sentence, with status 200."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request whose session is known."""

    peer: Peer
    session: Session
    others: list[Session]
    fields: dict[str, str]


Action = Callable[[Ask], Awaitable[web.Response]]


class Ppc:
    """Answers at URL. versions: (component, version, checksum); no_session: a quirk."""

    def __init__(
        self,
        library: Library,
        door: Door,
        selftest: SelfTest,
        signer: Signer,
        versions: Versions,
        no_session: bool = False,
        now_s: Callable[[], float] = time.monotonic,
    ):
        self._library = library
        self._door = door
        self._selftest = selftest
        self._signer = signer
        self._versions = versions
        self._no_session = no_session
        self._sessions = Sessions(now_s)
        self._actions: dict[str, Action] = {
            "meterform": self._meter_form,
            "meterprofile": self._meter_page,
            "showMeterProfile": self._meter_page,
            "showMeterValuesForm": self._values_form,
            "showMeterValues": self._values,
            "exportMeterValues": self._export_values,
            "exportMeterProfile": self._export_profile,
            "exportLogData": self._export_log,
            "tariffform": self._tariff_form,
            "showTariffProfile": self._tariff_page,
            "swversions": self._software,
            "selftest": self._self_test,
        }

    def serves(self, path: str) -> bool:
        """True for the one path of this dialect."""
        return path == URL

    async def answer(self, visitor: Visitor, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to a request at URL. Raises HttpRefusal."""
        peer = self._door.enter(visitor, request, lenient=True)
        if peer.role != ROLE_CON:
            raise HttpRefusal(403, "this interface is for consumers")
        if request.method not in ("GET", "POST"):
            raise HttpRefusal(405, "use GET or POST")
        fields = _fields(await read_body(request)) if request.method == "POST" else {}
        cookies = session_cookies(request.headers.getall("Cookie", []))
        session = self._sessions.find(peer.cn, cookies)
        if session is None and cookies and fields.get("action"):
            return _text(NO_SESSION)
        others = self._sessions.of(peer.cn)
        made = session is None
        session = session or self._sessions.new(peer.cn)
        try:
            answer = await self._act(Ask(peer, session, others, fields))
        except Told as told:
            answer = _text(str(told))
        if made and not self._no_session:
            cookie = f"session={session.cookie}; Path=/; Secure; HttpOnly"
            answer.headers["Set-Cookie"] = cookie
        return answer

    async def _act(self, ask: Ask) -> web.Response:
        name = ask.fields.get("action", "")
        if name == "logout":
            self._sessions.end(ask.session)
            return self._page(ask, ppc_pages.message("Sie sind abgemeldet."))
        action = self._actions.get(name)
        if action is None:
            return self._page(ask, ppc_pages.start(ask.session.tkn, ask.peer.cn))
        return await action(ask)

    async def _meter_form(self, ask: Ask) -> web.Response:
        options = [
            (ask.session.id_of("meter", meter), k461.logical_name(name))
            for meter, name in await self._meters(ask)
        ]
        return self._page(ask, ppc_pages.meter_form(ask.session.tkn, options))

    async def _meter_page(self, ask: Ask) -> web.Response:
        meter, name = await self._meter(ask)
        rows = [row for row in await self._library.latest(self._series(ask, meter)) if _shown(row)]
        profile = self._profile(meter)
        mid = ask.session.id_of("meter", meter)
        content = ppc_pages.meter_page(ask.session.tkn, mid, name, profile, rows)
        return self._page(ask, content)

    async def _values_form(self, ask: Ask) -> web.Response:
        meter, _ = await self._meter(ask)
        mid = ask.session.id_of("meter", meter)
        return self._page(ask, ppc_pages.values_form(ask.session.tkn, mid))

    async def _values(self, ask: Ask) -> web.Response:
        meter, _ = await self._meter(ask)
        rows = await self._rows(ask, meter)
        mid = ask.session.id_of("meter", meter)
        form = ppc_pages.values_form(ask.session.tkn, mid)
        shown = ppc_pages.value_table(rows) if rows else ppc_pages.message(NO_DATA)
        return self._page(ask, form + shown)

    async def _export_values(self, ask: Ask) -> web.Response:
        meter, name = await self._meter(ask)
        rows = await self._rows(ask, meter)
        if not rows:
            raise Told(NO_DATA)
        xml = await asyncio.to_thread(k461.values, name, rows, self._signer.inner)
        return await self._export(k461.logical_name(name), xml)

    async def _export_profile(self, ask: Ask) -> web.Response:
        meter, name = await self._meter(ask)
        registers = [row.obis for row in await self._library.latest(self._series(ask, meter))]
        profile = self._profile(meter)
        xml = k461.meter_profile(name, profile, registers or profile.obis)
        return await self._export(k461.logical_name(name), xml)

    async def _export_log(self, ask: Ask) -> web.Response:
        from_ms, to_ms = self._span(ask)
        entries = await self._library.log(
            ask.peer, consumer_log(ask.peer.name), from_ms, to_ms + 1000, newest_first=True
        )
        if not entries:
            raise Told(NO_DATA)
        if len(entries) > MAX_LOG_ENTRIES:
            raise Told(
                f"Die Abfrage liefert {len(entries)} Datensätze zurück. "
                f"Es sind nur {MAX_LOG_ENTRIES} erlaubt."
            )
        smgw_id = self._library.profiles.smgw_id
        xml = k461.logbook(smgw_id, entries)
        return await self._export(k461.logical_name(smgw_id, k461.LOG_OBJECT), xml)

    async def _tariff_form(self, ask: Ask) -> web.Response:
        options = [
            (
                ask.session.id_of("taf", taf.profile_id),
                f"01005e3180{taf.number:02d}.{taf.profile_id}.sm",
            )
            for taf in self._library.tafs(ask.peer)
        ]
        return self._page(ask, ppc_pages.tariff_form(ask.session.tkn, options))

    async def _tariff_page(self, ask: Ask) -> web.Response:
        tafs = {taf.profile_id: taf for taf in self._library.tafs(ask.peer)}
        taf = tafs[self._named(ask, "tid", "taf", list(tafs))]
        meter_id = await self._library.meter_id(taf.meter_id)
        registers = await self._library.registers(taf)
        return self._page(ask, ppc_pages.tariff_page(taf, meter_id, registers))

    async def _software(self, ask: Ask) -> web.Response:
        return self._page(ask, ppc_pages.versions(self._versions()))

    async def _self_test(self, ask: Ask) -> web.Response:
        self._library.granted(ask.peer, rights.SELF_TEST)
        begun = self._selftest.begin(ask.peer)
        text = "Selbsttest gestartet." if begun else "Der letzte Selbsttest ist zu kurz her."
        return self._page(ask, ppc_pages.message(text))

    async def _meters(self, ask: Ask) -> list[tuple[str, str]]:
        """(meter as the profiles name it, as it names itself) of the consumer's meters."""
        meters = dict.fromkeys(taf.meter_id for taf in self._library.tafs(ask.peer))
        return [(meter, await self._library.meter_id(meter)) for meter in meters]

    async def _meter(self, ask: Ask) -> tuple[str, str]:
        names = dict(await self._meters(ask))
        meter = self._named(ask, "mid", "meter", list(names))
        return meter, names[meter]

    def _named(self, ask: Ask, field: str, kind: str, names: list[str]) -> str:
        """Which one an id of this session means, or of another one of this log-in's."""
        given = ask.fields.get(field)
        if given is None and len(names) == 1:
            return names[0]
        for session in (ask.session, *ask.others):
            for name in names:
                if session.id_of(kind, name) == given:
                    return name
        raise Told(NO_SESSION)

    def _series(self, ask: Ask, meter: str) -> TafProfile:
        """The consumer's profile whose readings show most of a meter: TAF7 before others."""
        own = [taf for taf in self._library.tafs(ask.peer) if taf.meter_id == meter]
        return min(own, key=lambda taf: (taf.number != 7, taf.number))

    def _profile(self, meter: str) -> MeterProfile:
        found = self._library.profiles.meter(meter)
        assert found is not None  # Profiles has checked the reference
        return found

    async def _rows(self, ask: Ask, meter: str) -> list[Original]:
        from_ms, to_ms = self._span(ask)
        rows = await self._library.originals(self._series(ask, meter), from_ms, to_ms + 1000)
        return [row for row in rows if _shown(row)]

    def _span(self, ask: Ask) -> tuple[int, int]:
        """Both ends inclusive, by the wall clock; without an end now, without a begin a day."""
        try:
            end = ask.fields.get("to", "").strip()
            to_ms = wall_ms(end, True) if end else self._library.now_ms()
            begin = ask.fields.get("from", "").strip()
            from_ms = wall_ms(begin, False) if begin else to_ms - DAY_MS
        except ValueError as error:
            raise Told("Ungültiger Zeitraum.") from error
        return max(from_ms, to_ms - MAX_SPAN_MS, 0), to_ms

    async def _export(self, name: str, xml: bytes) -> web.Response:
        signed = await asyncio.to_thread(self._signer.enclosed, xml)
        disposition = f'attachment; filename="{name}_data.xml.cms"'
        return web.Response(
            body=signed,
            content_type="application/cms",
            headers={"Content-Disposition": disposition},
        )

    def _page(self, ask: Ask, content: str) -> web.Response:
        firmware = self._versions()[-1][1]
        tkn, now_ms = ask.session.tkn, self._library.now_ms()
        text = ppc_pages.page(tkn, firmware, now_ms, content)
        return web.Response(text=text, content_type="text/html", charset="utf-8")


def _shown(row: Original) -> bool:
    return row.unit == WH


def _text(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/plain", charset="utf-8")


def _fields(body: bytes) -> dict[str, str]:
    try:
        text = body.decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise HttpRefusal(400, "body is no form") from error
