"""Switching by the aEMT: one command per transaction and action, answered once, told once.

Knows the command's life: channel, sending, sending again under the same id, outcome on disk.
The channel itself and the way to order it come from outside. A command's id, uuid and action
make its repetition harmless: gateway and device answer a repeat, they do not execute it.
"""

import asyncio
import time
import uuid as uuidlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clsbench.clock import BenchClock
from clsbench.emt.cls_way import ChannelWay
from clsbench.emt.config import ClsEntry
from clsbench.emt.store import Conflict, EmtStore
from clsbench.errors import BadInput, PeerRefused, PeerSilent
from clsbench.eventlog import EventLog
from clsbench.net.reverse import HttpAnswer, OpenStreams

ACTIONS = ("begin", "end", "change")
MAX_TEXT_BYTES = 64
DEADLINE_S = 60.0  # a command is given up after this many real seconds
COMMAND_ANSWER_S = 22.0  # the SMGW answers within 20 s (DS2.0 chapter 6), and a little for the way
BOX_ANSWER_S = 10.0  # over its own channel: its meter is asked several times at most
CHANNEL_WAIT_S = 10.0
PAUSE_S = (0.1, 0.3, 1.0, 2.0)  # before the next try; the last one repeats
TRY_AGAIN = (408, 500, 502, 503, 504)

# real time in Unix nanoseconds that no step of the machine's clock disturbs within one process
_WALL_OFFSET_NS = time.time_ns() - time.monotonic_ns()

PENDING, ANSWERED, REFUSED, UNKNOWN = "pending", "answered", "refused", "unknown"


@dataclass(frozen=True)
class Outcome:
    """The device's answer. code: 0 done, else dicamm/codes.py; latency_ms: in real time."""

    code: int
    seq: int | None
    text: str
    uuid: str
    latency_ms: float

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "Outcome":
        """From a stored command with an answer."""
        latency_ms = (row["t_answer_ns"] - row["t_command_ns"]) / 1e6
        return cls(row["code"], row["seq"], row["answer"], row["uuid"], round(latency_ms, 3))


class CommandEngine:
    """Sends commands and keeps their outcomes.

    order_channel(smgw_id): asks the GWA for Connect; raises PeerRefused or PeerSilent.
    ways: by CLS-ID, of boxes whose commands go over their own channel.
    """

    def __init__(
        self,
        store: EmtStore,
        channels: OpenStreams,
        order_channel: Callable[[str], Awaitable[None]],
        events: EventLog,
        clock: BenchClock,
        deadline_s: float = DEADLINE_S,
        ways: Mapping[str, ChannelWay] | None = None,
    ):
        self._store = store
        self._channels = channels
        self._order_channel = order_channel
        self._events = events
        self._clock = clock
        self._deadline_s = deadline_s
        self._ways = ways or {}
        self._running: dict[tuple[str, str], asyncio.Task[Outcome]] = {}
        for row in store.commands():
            if row["state"] == PENDING:
                self._close_orphan(row)

    async def switch(
        self,
        cls: ClsEntry,
        action: str,
        uuid: str | None = None,
        text: str = "",
        event_ms: int | None = None,
        taf_profile: str | None = None,
    ) -> Outcome:
        """Brings one command to its answer.

        uuid: the transaction's; None: a new one. event_ms: bench time of the event; None: now.
        The same uuid and action again give the stored outcome, or go on under the same id
        where there is none yet. Raises BadInput (content), Conflict (same uuid and action,
        other content), PeerRefused (SMGW or GWA said no; final), PeerSilent (no answer until
        the deadline: outcome unknown, to be repeated with the same uuid).
        """
        row = self._row_for(cls, action, uuid, text, event_ms, taf_profile)
        if row["state"] == ANSWERED:
            return Outcome.of_row(row)
        key = (row["uuid"], row["action"])
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._run(row))
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Gives up what is running; it counts as unknown at the next start."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, key: tuple[str, str], task: asyncio.Task[Outcome]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # stored already; the caller may have gone

    def _row_for(
        self,
        cls: ClsEntry,
        action: str,
        uuid: str | None,
        text: str,
        event_ms: int | None,
        taf_profile: str | None,
    ) -> dict[str, Any]:
        content = {
            "cls_id": cls.cls_id,
            "smgw_id": cls.smgw_id,
            "taf_profile": taf_profile or cls.taf_profile,
            "text": text,
        }
        canonical = _checked(action, uuid, text)
        known = self._store.command(canonical, action)
        if known is not None:
            same_time = event_ms is None or event_ms == known["event_ms"]
            if not same_time or any(known[name] != value for name, value in content.items()):
                raise Conflict(f"{action} of {canonical} was given before with other content")
            if known["state"] != ANSWERED:
                self._store.update_command(known["id"], state=PENDING)
            return known
        row = {
            "uuid": canonical,
            "action": action,
            "id": str(uuidlib.uuid4()),
            **content,
            "event_ms": self._clock.now_ms() if event_ms is None else event_ms,
            "state": PENDING,
            "t_command_ns": _stamp_ns(),
        }
        self._store.add_command(row)
        return row

    async def _run(self, row: dict[str, Any]) -> Outcome:
        try:
            fields = _answer_fields(await self._until_answered(row))
        except PeerRefused as error:
            self._finish(row, REFUSED, answer=str(error))
            raise
        except PeerSilent as error:
            self._finish(row, UNKNOWN, answer=str(error))
            raise
        return Outcome.of_row(self._finish(row, ANSWERED, **fields))

    async def _until_answered(self, row: dict[str, Any]) -> HttpAnswer:
        tries, reason = 0, "not sent"
        deadline = time.monotonic() + self._deadline_s
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                answer = await self._try(row, left_s)
            except PeerSilent as error:
                reason = str(error)
            else:
                if answer.status == 200:
                    return answer
                reason = f"SMGW {row['smgw_id']} answered {answer.status}: {answer.error_text()}"
                if answer.status not in TRY_AGAIN:
                    raise PeerRefused(reason)
            self._tell(row, "switch.retry", False, {"reason": reason, "try": tries + 1})
            await asyncio.sleep(min(PAUSE_S[min(tries, len(PAUSE_S) - 1)], left_s))
            tries += 1
        raise PeerSilent(
            f"{row['action']} for {row['cls_id']} got no answer within {self._deadline_s:g} s "
            f"({tries} tries); last: {reason}. Repeat it with --uuid {row['uuid']}"
        )

    async def _try(self, row: dict[str, Any], left_s: float) -> HttpAnswer:
        """One sending; orders the channel first where there is none."""
        way = self._ways.get(row["cls_id"])
        if way is not None:
            session = await way.ready(min(CHANNEL_WAIT_S, left_s))
            self._count_sending(row)
            return await way.send(session, row, min(BOX_ANSWER_S, left_s))
        smgw_id = row["smgw_id"]
        channel = self._channels.get(smgw_id)
        if channel is None:
            await self._order_channel(smgw_id)
            channel = await self._channels.wait(smgw_id, min(CHANNEL_WAIT_S, left_s))
        if channel is None:
            raise PeerSilent(f"SMGW {smgw_id} opened no channel after Connect")
        names = ("id", "action", "uuid", "text", "event_ms", "taf_profile")
        self._count_sending(row)
        return await channel.request(
            "POST",
            f"/smgw/emt/v1/cls/{row['cls_id']}/command",
            json={name: row[name] for name in names},
            timeout_s=min(COMMAND_ANSWER_S, left_s),
        )

    def _count_sending(self, row: dict[str, Any]) -> None:
        self._tell(row, "switch.command", True, {"cls_id": row["cls_id"], "id": row["id"]})
        row["sent"] = row.get("sent", 0) + 1

    def _finish(self, row: dict[str, Any], state: str, **fields: Any) -> dict[str, Any]:
        fields |= {"state": state, "sent": row.get("sent", 0), "t_answer_ns": _stamp_ns()}
        self._store.update_command(row["id"], **fields)
        done = row | fields
        detail = {name: fields.get(name) for name in ("state", "code", "seq", "answer", "sent")}
        ok = state == ANSWERED and fields.get("code") == 0
        self._events.event(
            "SMGW", "aEMT", "message", "switch.answer", uuid=row["uuid"], ok=ok, detail=detail
        )
        return done

    def _tell(self, row: dict[str, Any], name: str, ok: bool, detail: dict[str, Any]) -> None:
        detail = {"action": row["action"], **detail}
        self._events.event("aEMT", "SMGW", "message", name, uuid=row["uuid"], ok=ok, detail=detail)

    def _close_orphan(self, row: dict[str, Any]) -> None:
        reason = "the aEMT was restarted before the answer came: repeat with the same uuid"
        self._store.update_command(row["id"], state=UNKNOWN, answer=reason)


def _stamp_ns() -> int:
    return time.monotonic_ns() + _WALL_OFFSET_NS


def _checked(action: str, uuid: str | None, text: str) -> str:
    if action not in ACTIONS:
        raise BadInput(f"action {action!r}: must be begin or end")
    if len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise BadInput(f"text is longer than {MAX_TEXT_BYTES} bytes of UTF-8")
    if uuid is None:
        return str(uuidlib.uuid4())
    try:
        return str(uuidlib.UUID(uuid))
    except ValueError as error:
        raise BadInput(f"uuid {uuid!r}: must be like {uuidlib.UUID(int=0)}") from error


def _answer_fields(answer: HttpAnswer) -> dict[str, Any]:
    """Code, seq and text of a 200; raises PeerSilent where it is no such answer."""
    try:
        content = answer.json()
        fields = {"code": content["code"], "seq": content["seq"], "answer": content["text"]}
    except (BadInput, KeyError, TypeError) as error:
        raise PeerSilent(f"SMGW's answer has no code, seq, text: {answer.body[:100]!r}") from error
    kinds = {"code": (int,), "seq": (int, type(None)), "answer": (str,)}
    if any(type(fields[name]) not in kinds[name] for name in fields):
        raise PeerSilent(f"SMGW's answer has a wrong code, seq or text: {answer.body[:100]!r}")
    return fields
