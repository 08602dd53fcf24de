"""The resources of the HAN interface for control boxes, `/smgw/cls/v1/`.

Translates between HTTP and the gateway's parts; decides nothing that `core.rights` decides.
Sources: BSI Detailspezifikationen 2.0 chapters 6 and 7 (path scheme `rts`, `fas`); FlexMC
final report (what an event carries). Names of the actions are this project's.
"""

from collections.abc import Callable

from aiohttp import web

from clsbench.clock import BenchClock
from clsbench.device.intake import Run
from clsbench.smgw.commands import CommandConflict, CommandDesk, UnknownCommand
from clsbench.smgw.core import rights
from clsbench.smgw.core.clock_state import TimeSource
from clsbench.smgw.core.commands import read_answer
from clsbench.smgw.core.rights import Grant, Refusal, Rights, Target
from clsbench.smgw.core.sealed import NotSealed, SealedRecord, split_sequence
from clsbench.smgw.core.taf16 import HAN, Conflict, read_announcement
from clsbench.smgw.exchange import Exchange
from clsbench.smgw.journal import SMGW, Journal
from clsbench.smgw.rest import UUID, Call, HttpRefusal, Router
from clsbench.smgw.tariffs import MeterSilent, Tariffs
from clsbench.smgw.worker import StoreWorker

BASE = "/smgw/cls/v1"
DEFAULT_WAIT_MS = 15_000
MAX_WAIT_MS = 20_000  # every answer within 20 s
MAX_SEQ = 999_999_999


class ClsResources:
    """What a control box finds in the HAN. stored(cls_id): called when new records are here."""

    def __init__(
        self,
        authority: Rights,
        tariffs: Tariffs,
        desk: CommandDesk,
        exchange: Exchange,
        worker: StoreWorker,
        journal: Journal,
        clock: BenchClock,
        time: TimeSource,
        stored: Callable[[str], None],
    ):
        self._rights = authority
        self._tariffs = tariffs
        self._desk = desk
        self._exchange = exchange
        self._worker = worker
        self._journal = journal
        self._clock = clock
        self._time = time
        self._stored = stored

    def add_to(self, router: Router) -> None:
        """Enters the resources into a router."""
        router.add("GET", f"{BASE}/rts/time", self.time)
        router.add("POST", f"{BASE}/fas/event", self.event)
        router.add("GET", f"{BASE}/rts/command/", self.next_command)
        router.add("POST", f"{BASE}/rts/command/{UUID}", self.command_answer)
        router.add("POST", f"{BASE}/rts/record/", self.records)

    async def time(self, call: Call) -> web.Response:
        """The gateway's legal time."""
        self._cls_id(call, rights.READ_TIME)
        state = self._time.time_state()
        return web.json_response(
            {"utc_ms": self._clock.now_ms(), "state": state.state, "bound_ms": state.bound_ms}
        )

    async def event(self, call: Call) -> web.Response:
        """An event of this control box; answered when its records are stored."""
        announcement = read_announcement(call.json(), HAN)
        uuid = announcement.uuid
        target = Target(cls_id=announcement.cls_id)
        grant = self._granted(call, rights.ANNOUNCE_EVENT, target, uuid)
        try:
            records = await self._tariffs.announce(announcement, grant.tafs)
        except Conflict as conflict:
            raise HttpRefusal(409, str(conflict), uuid) from conflict
        except MeterSilent as silent:
            raise HttpRefusal(503, str(silent), uuid) from silent
        listed = [{"profile_id": record.profile_id, "seq": record.seq} for record in records]
        first = records[0]
        return web.json_response(
            {"seq": first.seq, "captured_ms": first.captured_ms, "records": listed}
        )

    async def next_command(self, call: Call) -> web.Response:
        """Long poll: the oldest command for this control box, or 204 when none came."""
        cls_id = self._cls_id(call, rights.FETCH_COMMAND)
        wait_ms = call.uint("wait_ms", DEFAULT_WAIT_MS, MAX_WAIT_MS)
        command = await self._desk.next_for(cls_id, wait_ms / 1000)
        if command is None:
            return web.Response(status=204)
        response = web.json_response(command.for_cls())
        self._journal.event(
            SMGW,
            "DICAMM",
            "message",
            "command.forwarded",
            uuid=command.uuid,
            detail=command.for_cls() | {"cls_id": cls_id},
            raw=response.text.encode() if response.text else None,
        )
        return response

    async def command_answer(self, call: Call) -> web.Response:
        """What this control box says to a command."""
        cls_id = self._cls_id(call, rights.ANSWER_COMMAND)
        answer = read_answer(call.json())
        command_id = call.params["id"].lower()
        try:
            command = await self._desk.answer(cls_id, command_id, answer)
        except UnknownCommand as unknown:
            raise HttpRefusal(404, str(unknown)) from unknown
        except CommandConflict as conflict:
            raise HttpRefusal(409, str(conflict)) from conflict
        self._journal.event(
            "DICAMM",
            SMGW,
            "message",
            "command.reply",
            uuid=command.uuid,
            ok=answer.code == 0,
            detail={"id": command_id, "cls_id": cls_id, **answer.as_json()},
            raw=call.body,
        )
        return web.Response(status=204)

    async def records(self, call: Call) -> web.Response:
        """Sealed records of this control box, to be kept and passed on unopened.

        `?from=N`: it still has everything from N on. The answer names what it should send again.
        """
        cls_id = self._cls_id(call, rights.DELIVER_RECORDS)
        records = self._split(call.body, cls_id)
        first = call.uint("from", 0, MAX_SEQ)
        holding, new, refused = await self._worker.run(
            self._exchange.add_device_records, cls_id, records, self._clock.now_ms(), first
        )
        self._tell_records(cls_id, records, set(new))
        if new:
            self._stored(cls_id)
        if refused:
            raise HttpRefusal(409, "; ".join(refused))
        answer = {"acknowledged": holding.acknowledged, "beyond": _ranges(holding.beyond)}
        if holding.missing:
            answer["missing"] = _ranges(holding.missing)
        return web.json_response(answer)

    def _split(self, body: bytes, cls_id: str) -> list[SealedRecord]:
        try:
            records = split_sequence(body)
        except NotSealed as error:
            raise HttpRefusal(422, str(error)) from error
        if not records:
            raise HttpRefusal(422, "body: no record in it")
        for record in records:
            if record.cls_id not in (None, cls_id):
                raise HttpRefusal(403, f"record {record.seq} is of {record.cls_id}, not {cls_id}")
        return records

    def _tell_records(self, cls_id: str, records: list[SealedRecord], new: set[int]) -> None:
        for record in records:
            if record.seq in new:
                self._journal.event(
                    "DICAMM",
                    SMGW,
                    "message",
                    "device.record",
                    detail={"cls_id": cls_id, "seq": record.seq},
                    raw=record.sealed,
                )

    def _cls_id(self, call: Call, action: str) -> str:
        cls = self._granted(call, action, rights.NOTHING, None).cls
        if cls is None:
            raise HttpRefusal(403, "no CLS profile")
        return cls.cls_id

    def _granted(self, call: Call, action: str, target: Target, uuid: str | None) -> Grant:
        verdict = self._rights.decide(call.peer, action, target)
        if isinstance(verdict, Refusal):
            raise HttpRefusal(verdict.http_status, verdict.reason, uuid)
        return verdict


def _ranges(runs: tuple[Run, ...]) -> list[list[int]]:
    return [list(run) for run in runs]
