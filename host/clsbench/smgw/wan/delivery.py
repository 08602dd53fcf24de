"""Brings records to a market participant: gateway records (CMS) and sealed device records.

The gateway opens TLS to the delivery port and asks; what is not acknowledged stays in the
store and is sent again, oldest first, also after a restart. The receiver deduplicates. A
record that the receiver refuses does not hold up those behind it, nor those to come. Gateway
records that wait together travel in one body.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar

from clsbench.clock import BenchClock
from clsbench.content_party import media_type
from clsbench.device.intake import Run
from clsbench.errors import BadInput, PeerRefused, PeerSilent
from clsbench.net.listener import open_tls
from clsbench.net.reverse import (
    MAX_SESSION_S,
    HttpAnswer,
    HttpOverStream,
    http_client_protocol,
)
from clsbench.net.tls_session import session_s
from clsbench.smgw.core.profiles import EmtProfile
from clsbench.smgw.exchange import Exchange
from clsbench.smgw.journal import FAILURE, SMGW, WARNING, Journal
from clsbench.smgw.store import Outgoing, Store
from clsbench.smgw.wan.channels import Backoff
from clsbench.smgw.worker import StoreWorker

BATCH = 32  # device records in one body
LIST = 64  # gateway records in one body
MAX_BODY_BYTES = 32_768
MAX_LIST_BYTES = 262_144
RECORD_PATH, LIST_PATH = "/emt/v1/records", "/emt/v1/record-list"
LIST_TYPE = "application/vnd.clsbench.cms-list"
NO_LISTS = (404, 405, 413)  # a receiver of one record at a time
IDLE_S = 30.0  # the connection is closed when nothing was to be sent for this long


T = TypeVar("T")


class Delivery:
    """The outbox of one market participant; `wake()` when something new is to be sent.

    protect(body): the body in an envelope, where the participant's profile asks for it.
    """

    def __init__(
        self,
        emt: EmtProfile,
        context: ssl.SSLContext,
        store: Store,
        exchange: Exchange,
        worker: StoreWorker,
        journal: Journal,
        clock: BenchClock,
        retry_max_s: float,
        protect: Callable[[bytes], bytes] | None = None,
    ):
        self._emt = emt
        self._protect = protect
        self._context = context
        self._store = store
        self._exchange = exchange
        self._worker = worker
        self._journal = journal
        self._clock = clock
        self._wake = asyncio.Event()
        self._http: HttpOverStream | None = None
        self._opened_s = 0.0
        self._session_s = 0.0
        self._retry_max_s = retry_max_s
        self._tried_id = 0  # gateway records up to this one, device records up to these, were
        self._tried_seqs: dict[str, int] = {}  # sent once in this round
        self._takes_lists = True  # until this connection's receiver says that it knows none
        self._last_problem = ""

    def wake(self) -> None:
        """Something new is to be sent."""
        self._wake.set()

    async def run(self) -> None:
        """Delivers for ever."""
        backoff = Backoff(self._retry_max_s)
        try:
            while True:
                self._wake.clear()
                try:
                    if await self._deliver_all():
                        await self._rest(backoff)
                        continue
                except (PeerSilent, PeerRefused, BadInput) as error:
                    self._problem(str(error))
                    self._hang_up()
                    await backoff.pause()
                else:
                    backoff.reset()
                    await self._wait_for_more()
        finally:
            self._hang_up()

    async def _rest(self, backoff: Backoff) -> None:
        """Waits before what was refused is sent again; what is new meanwhile goes at once."""
        pause = asyncio.create_task(backoff.pause())
        try:
            while not pause.done():
                woken = asyncio.create_task(self._wake.wait())
                await asyncio.wait({pause, woken}, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
                if self._wake.is_set():
                    self._wake.clear()
                    await self._deliver_new()
        finally:
            pause.cancel()

    async def _deliver_all(self) -> int:
        """Sends everything once; returns how much of it was refused. Raises PeerSilent."""
        self._tried_id, self._tried_seqs = 0, {}
        return await self._deliver_new()

    async def _deliver_new(self) -> int:
        """As `_deliver_all`, what has not been tried since that."""
        refused = 0
        while batch := await self._worker.run(
            self._store.undelivered, self._emt.name, self._tried_id, LIST
        ):
            batch = _fitting(batch, lambda record: len(record.cms), MAX_LIST_BYTES)
            refused += await self._send_records(batch)
            self._tried_id = batch[-1].record_id
        for cls_id in self._emt.cls_ids:
            refused += await self._send_device_records(cls_id)
        return refused

    async def _send_records(self, batch: list[Outgoing]) -> int:
        """Sends gateway records, several in one body; returns how many were refused."""
        if len(batch) > 1 and self._takes_lists:
            body = b"".join(record.cms for record in batch)
            answer = await self._post(LIST_PATH, body, LIST_TYPE)
            statuses = _statuses(answer, len(batch))
            if statuses is not None:
                return await self._note_answer(batch, statuses, answer)
            self._takes_lists = answer.status not in NO_LISTS
        refused = 0
        for record in batch:
            answer = await self._post(RECORD_PATH, record.cms, "application/cms")
            stored = answer.status == 200 and _field(answer, "stored") is True
            status = 0 if answer.status == 200 and not stored else answer.status
            refused += await self._note_answer([record], [status], answer)
        return refused

    async def _note_answer(
        self, batch: list[Outgoing], statuses: list[int], answer: HttpAnswer
    ) -> int:
        """What the answer says of each record (200: it is stored); returns how many are not."""
        name = self._emt.name
        for record, status in zip(batch, statuses, strict=True):
            detail = {"emt": name, "profile_id": record.profile_id, "seq": record.seq}
            detail["status"] = status
            self._journal.event(
                *(SMGW, "aEMT", "message", "delivery.record"),
                uuid=record.uuid,
                ok=status == 200,
                detail=detail,
                raw=record.cms,
            )
        told = list(zip(batch, statuses, strict=True))
        stored = [record.record_id for record, status in told if status == 200]
        if stored:
            now = self._clock.now_ms()
            await self._worker.run(self._store.delivered, stored, name, now)
            for profile_id, ranges in _missing(batch, answer).items():
                await self._send_again(self._exchange.send_records_again, profile_id, ranges)
        failed = [(place, each) for place, each in enumerate(told) if each[1] != 200]
        if not failed:
            self._last_problem = ""
        for place, (record, status) in failed:
            what = f"record {record.seq} of {record.profile_id}"
            self._problem(f"{what} refused with {status}: {_reason(answer, place)}")
        return len(failed)

    async def _send_device_records(self, cls_id: str) -> int:
        """Sends the records of a control box; returns how many were refused."""
        refused, after_seq = 0, self._tried_seqs.get(cls_id, 0)
        while rows := await self._worker.run(
            self._exchange.unforwarded, self._emt.name, cls_id, after_seq, BATCH
        ):
            rows = _fitting(rows, lambda row: len(row[1]), MAX_BODY_BYTES)
            after_seq = rows[-1][0]
            if not await self._send_sealed(cls_id, rows):
                # one that is refused must not keep the others back
                alone = [len(rows) > 1 and await self._send_sealed(cls_id, [row]) for row in rows]
                refused += alone.count(False)
            self._tried_seqs[cls_id] = after_seq
        return refused

    async def _send_sealed(self, cls_id: str, rows: list[tuple[int, bytes]]) -> bool:
        seqs = [seq for seq, _ in rows]
        body = b"".join(sealed for _, sealed in rows)
        path = f"/emt/v1/cls-records/{cls_id}"
        answer = await self._post(path, body, "application/cbor-seq")
        good = answer.status == 200
        detail = {
            "emt": self._emt.name,
            "cls_id": cls_id,
            "seqs": seqs,
            "status": answer.status,
            "acknowledged": _field(answer, "acknowledged"),
        }
        self._journal.event(
            SMGW, "aEMT", "message", "delivery.device", ok=good, detail=detail, raw=body
        )
        if good:
            now = self._clock.now_ms()
            await self._worker.run(self._exchange.forwarded, self._emt.name, cls_id, seqs, now)
            ranges = _ranges(_field(answer, "missing"))
            await self._send_again(self._exchange.send_again, cls_id, ranges)
            self._last_problem = ""
        else:
            what = f"records {seqs[0]}..{seqs[-1]} of {cls_id}"
            self._problem(f"{what} refused with {answer.status}: {answer.error_text()}")
        return good

    async def _send_again(
        self, reset: Callable[[str, str, list[Run]], int], name: str, ranges: list[Run]
    ) -> None:
        """A participant that lost what it had acknowledged gets it again."""
        if not ranges:
            return
        count = await self._worker.run(reset, self._emt.name, name, ranges)
        if count:
            detail = {"emt": self._emt.name, "of": name, "ranges": ranges, "records": count}
            self._journal.event(SMGW, "aEMT", "state", "delivery.again", detail=detail)
            self._wake.set()

    async def _post(self, path: str, body: bytes, content_type: str) -> HttpAnswer:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._opened_s > self._session_s:
            self._hang_up()
        if self._http is None or self._http.closed:
            self._http = await self._open()
            self._opened_s = now_s
            self._takes_lists = True
        if self._protect is not None:
            body, content_type = self._protect(body), media_type()
        return await self._http.request("POST", path, body=body, content_type=content_type)

    async def _open(self) -> HttpOverStream:
        opened: asyncio.Future[HttpOverStream] = asyncio.get_running_loop().create_future()
        place = self._emt.delivery
        name = f"delivery of {self._emt.name}"
        transport, _ = await open_tls(
            place.host,
            place.port,
            self._context,
            "EMT",
            self._emt.name,
            lambda: http_client_protocol(opened.set_result, name),
            server_name=place.sni,
        )
        self._session_s = session_s(transport, MAX_SESSION_S)
        detail = {"emt": self._emt.name, "address": f"{place.host}:{place.port}"}
        self._journal.event(SMGW, "aEMT", "state", "delivery.open", detail=detail)
        return await opened

    async def _wait_for_more(self) -> None:
        try:
            async with asyncio.timeout(IDLE_S):
                await self._wake.wait()
        except TimeoutError:
            self._hang_up()
            await self._wake.wait()

    def _hang_up(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def _problem(self, reason: str) -> None:
        if reason == self._last_problem:
            return  # the same failure over and over is told once
        self._last_problem = reason
        detail = {"emt": self._emt.name, "reason": reason}
        self._journal.event(SMGW, "aEMT", "fault", "delivery.failed", ok=False, detail=detail)
        self._journal.system("delivery.failed", self._emt.name, reason, WARNING, FAILURE)


def _fitting(rows: list[T], size: Callable[[T], int], most: int) -> list[T]:
    """The first of them, at least one, as many as `most` bytes hold."""
    total, count = 0, 0
    for row in rows:
        total += size(row)
        if total > most and count:
            break
        count += 1
    return rows[:count]


def _statuses(answer: HttpAnswer, count: int) -> list[int] | None:
    """The status of each record of a list; None where the answer has none."""
    found = _field(answer, "statuses") if answer.status == 200 else None
    if not isinstance(found, list) or len(found) != count:
        return None
    return [each if type(each) is int else 0 for each in found]


def _missing(batch: list[Outgoing], answer: HttpAnswer) -> dict[str, list[Run]]:
    """What the receiver lacks, by profile; an answer to one record names the ranges alone."""
    found = _field(answer, "missing")
    if isinstance(found, dict):
        return {name: _ranges(runs) for name, runs in found.items()}
    return {batch[0].profile_id: _ranges(found)}


def _reason(answer: HttpAnswer, place: int) -> str:
    errors = _field(answer, "errors")
    if isinstance(errors, dict):
        return str(errors.get(str(place), ""))
    return answer.error_text()


def _ranges(content: object) -> list[Run]:
    """Ranges of numbers as an answer names them; what is none is left out."""
    if not isinstance(content, list):
        return []
    return [
        (run[0], run[1])
        for run in content
        if isinstance(run, list) and len(run) == 2 and all(type(each) is int for each in run)
    ]


def _field(answer: HttpAnswer, name: str):
    try:
        content = answer.json()
    except BadInput:
        return None
    return content.get(name) if isinstance(content, dict) else None
