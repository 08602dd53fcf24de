"""Switching by the aEMT: one command per transaction and action, answered once, told once.

Knows the command's life: channel, sending, sending again under the same id, outcome on disk.
The channel itself and the way to order it come from outside. A command's id, uuid and action
make its repetition harmless: gateway and device answer a repeat, they do not execute it.
"""

import asyncio
import time
import uuid as uuidlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from clsbench import steps
from clsbench.clock import BenchClock
from clsbench.emt.cls_way import ChannelWay
from clsbench.emt.command_row import (
    EVENT,
    Outcome,
    answer_fields,
    canonical_uuid,
    content,
    request_of,
)
from clsbench.emt.config import ClsEntry
from clsbench.emt.store import Conflict, EmtStore
from clsbench.errors import PeerRefused, PeerSilent
from clsbench.eventlog import EventLog
from clsbench.net.reverse import HttpAnswer, HttpOverStream, OpenStreams

__all__ = ["CommandEngine", "Outcome"]

DEADLINE_S = 60.0  # a command is given up after this many real seconds
COMMAND_ANSWER_S = 22.0  # the SMGW answers within 20 s (DS2.0 chapter 6), and a little for the way
BOX_ANSWER_S = 10.0  # over its own channel: its meter is asked several times at most
CHANNEL_WAIT_S = 10.0
PAUSE_S = (0.1, 0.3, 1.0, 2.0)  # before the next try; the last one repeats
TRY_AGAIN = (408, 500, 502, 503, 504)

# real time in Unix nanoseconds that no step of the machine's clock disturbs within one process
_WALL_OFFSET_NS = time.time_ns() - time.monotonic_ns()

PENDING, ANSWERED, REFUSED, UNKNOWN = "pending", "answered", "refused", "unknown"


class CommandEngine:
    """Sends commands and keeps their outcomes.

    order_channel(smgw_id, uuid): asks the GWA for Connect; raises PeerRefused or PeerSilent.
    ways: by CLS-ID, of boxes whose commands go over their own channel. emt_id: whose commands
    they are, for the steps in the event log.
    """

    def __init__(
        self,
        store: EmtStore,
        channels: OpenStreams,
        order_channel: Callable[[str, str | None], Awaitable[None]],
        events: EventLog,
        clock: BenchClock,
        deadline_s: float = DEADLINE_S,
        ways: Mapping[str, ChannelWay] | None = None,
        emt_id: str = "",
    ):
        self._store = store
        self._channels = channels
        self._order_channel = order_channel
        self._events = events
        self._clock = clock
        self._deadline_s = deadline_s
        self._ways = ways or {}
        self._emt_id = emt_id
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
        limit_w: int | None = None,
        duration_s: int | None = None,
    ) -> Outcome:
        """Brings one command to its answer.

        uuid: the transaction's; None: a new one. event_ms: bench time of the event; None: now.
        The same uuid and action again give the stored outcome, or go on under the same id
        where there is none yet. Raises BadInput (content), Conflict (same uuid and action,
        other content), PeerRefused (SMGW or GWA said no; final), PeerSilent (no answer until
        the deadline: outcome unknown, to be repeated with the same uuid).
        """
        same = content(cls, action, text, taf_profile, limit_w, duration_s)
        row = self._row_for(same, action, canonical_uuid(uuid), event_ms)
        if row["state"] == ANSWERED:
            return Outcome.of_row(row)
        key = (row["uuid"], row["action"])
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._run(row))
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    async def signal(self, cls: ClsEntry, event: str, **told: Any) -> Outcome:
        """Brings an external event to its record; nothing is switched. As `switch` otherwise."""
        return await self.switch(cls, EVENT + event, **told)

    async def read(self, smgw_id: str, taf_profile: str) -> dict[str, Any]:
        """A reading on demand: {"seq", "captured_ms"}. Raises PeerRefused, PeerSilent."""
        channel = await self._channel(smgw_id, CHANNEL_WAIT_S, None)
        body = {"taf_profile": taf_profile}
        answer = await channel.request("POST", "/smgw/emt/v1/fas/read", json=body)
        if answer.status == 200:
            return answer.json()
        kind = PeerSilent if answer.status in TRY_AGAIN else PeerRefused
        raise kind(f"SMGW {smgw_id} answered {answer.status}: {answer.error_text()}")

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
        self, same: dict[str, Any], action: str, uuid: str, event_ms: int | None
    ) -> dict[str, Any]:
        known = self._store.command(uuid, action)
        if known is not None:
            same_time = event_ms is None or event_ms == known["event_ms"]
            if not same_time or any(known[name] != value for name, value in same.items()):
                raise Conflict(f"{action} of {uuid} was given before with other content")
            if known["state"] != ANSWERED:
                self._store.update_command(known["id"], state=PENDING)
            return known
        row = {
            "uuid": uuid,
            "action": action,
            "id": str(uuidlib.uuid4()),
            **same,
            "event_ms": self._clock.now_ms() if event_ms is None else event_ms,
            "state": PENDING,
            "t_command_ns": _stamp_ns(),
        }
        self._store.add_command(row)
        return row

    async def _run(self, row: dict[str, Any]) -> Outcome:
        try:
            fields = answer_fields(row, await self._until_answered(row))
        except PeerRefused as error:
            self._finish(row, REFUSED, answer=str(error))
            raise
        except PeerSilent as error:
            self._finish(row, UNKNOWN, answer=str(error))
            raise
        return Outcome.of_row(self._finish(row, ANSWERED, **fields))

    async def _until_answered(self, row: dict[str, Any]) -> HttpAnswer:
        tries, reason = 0, "not sent"
        self._step(steps.RAISED, "operator", "aEMT", row, cls_id=row["cls_id"])
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
        if way is not None and not row["action"].startswith(EVENT):
            return await self._over_its_channel(way, row, left_s)
        smgw_id = row["smgw_id"]
        stands = self._channels.get(smgw_id) is not None
        self._step(steps.CHANNEL, "aEMT", "aEMT", row, smgw_id=smgw_id, stands=stands)
        channel = await self._channel(smgw_id, left_s, row)
        self._count_sending(row)
        path, body = request_of(row)
        timeout_s = min(COMMAND_ANSWER_S, left_s)
        return await channel.request("POST", path, json=body, timeout_s=timeout_s)

    async def _over_its_channel(
        self, way: ChannelWay, row: dict[str, Any], left_s: float
    ) -> HttpAnswer:
        where = {"via": steps.BY_CHANNEL, "cls_id": row["cls_id"]}
        stands = way.stands()
        self._step(steps.CHANNEL, "aEMT", "aEMT", row, stands=stands, **where)
        asks = way.ordered and not stands
        if asks:
            self._step(steps.REQUESTED, "aEMT", "GWA", row, **where)
        try:
            session = await way.ready(min(CHANNEL_WAIT_S, left_s), row["uuid"])
        except (PeerRefused, PeerSilent) as error:
            if asks:
                told = where | {"reason": str(error)}
                self._step(steps.REQUESTED, "GWA", "aEMT", row, ok=False, **told)
            raise
        self._count_sending(row)
        answer = await way.send(session, row, min(BOX_ANSWER_S, left_s))
        told = where | answer.json()
        ok = told["code"] == 0
        self._step(steps.SWITCHED, "DICAMM", "aEMT", row, ok=ok, **told)
        return answer

    def _count_sending(self, row: dict[str, Any]) -> None:
        self._tell(row, "switch.command", True, {"cls_id": row["cls_id"], "id": row["id"]})
        row["sent"] = row.get("sent", 0) + 1

    async def _channel(
        self, smgw_id: str, left_s: float, row: dict[str, Any] | None
    ) -> HttpOverStream:
        """The gateway's channel, ordered where there is none. Raises PeerRefused, PeerSilent."""
        channel = self._channels.get(smgw_id)
        if channel is None:
            await self._order(smgw_id, row)
            channel = await self._channels.wait(smgw_id, min(CHANNEL_WAIT_S, left_s))
        if channel is None:
            raise PeerSilent(f"SMGW {smgw_id} opened no channel after Connect")
        return channel

    async def _order(self, smgw_id: str, row: dict[str, Any] | None) -> None:
        if row is not None:
            self._step(steps.REQUESTED, "aEMT", "GWA", row, smgw_id=smgw_id)
        try:
            await self._order_channel(smgw_id, None if row is None else row["uuid"])
        except (PeerRefused, PeerSilent) as error:
            if row is not None:
                self._step(steps.REQUESTED, "GWA", "aEMT", row, ok=False, reason=str(error))
            raise

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

    def _step(
        self,
        number: int,
        lane_from: str,
        lane_to: str,
        row: dict[str, Any],
        ok: bool = True,
        **detail: Any,
    ) -> None:
        if row["action"].startswith(EVENT):
            return  # nothing is switched
        told = {"action": row["action"], "emt_id": self._emt_id, **detail}
        steps.tell_step(self._events, number, lane_from, lane_to, row["uuid"], ok=ok, **told)

    def _close_orphan(self, row: dict[str, Any]) -> None:
        reason = "the aEMT was restarted before the answer came: repeat with the same uuid"
        self._store.update_command(row["id"], state=UNKNOWN, answer=reason)


def _stamp_ns() -> int:
    return time.monotonic_ns() + _WALL_OFFSET_NS
