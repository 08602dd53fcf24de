"""What the SMGW delivers to the aEMT: judged first, then stored, then confirmed.

Knows who may deliver, envelopes, and the rules of device records: seal, signature, sender;
those of gateway records are `gateway_delivery`'s. Durable storing and duplicates are the
store's. Every refusal is an event and a line of the log.
"""

import logging
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.clock import BenchClock
from clsbench.device.signed import SignatureBroken, check_signature
from clsbench.emt.config import ClsEntry
from clsbench.emt.gateway_delivery import (
    LIST_PATH,
    RECORD_PATH,
    GatewayDelivery,
    VerifyCms,
    asked,
)
from clsbench.emt.seal import SealedRecord, open_sealed, split_sequence
from clsbench.emt.signed import OpenBody
from clsbench.emt.store import EmtStore
from clsbench.errors import BadInput, ClsbenchError, PeerRefused
from clsbench.eventlog import EventLog
from clsbench.net.serving import refusal
from clsbench.net.tls import Peer
from clsbench.store.device_records import (
    STORED,
    Conflict,
    DeviceRecord,
    Holding,
    LinkBroken,
)

DEVICE_PREFIX = "/emt/v1/cls-records/"

log = logging.getLogger("clsbench.emt.delivery")


@dataclass(frozen=True)
class KnownCls:
    """A CLS of the configuration with its keys, where there are any."""

    entry: ClsEntry
    key: bytes | None
    sign_key: ec.EllipticCurvePublicKey | None = None


class Delivery:
    """HTTP handler of the delivery port."""

    def __init__(
        self,
        store: EmtStore,
        known: dict[str, KnownCls],
        verify_cms: VerifyCms,
        events: EventLog,
        clock: BenchClock,
        open_body: OpenBody = lambda media_type, body, smgw_id: body,
    ):
        self._open_body = open_body
        self._store = store
        self._known = known
        self._events = events
        self._clock = clock
        self._gateway = GatewayDelivery(store, verify_cms, clock, self._refuse, self._accepted)

    async def handle(self, peer: Peer, request: web.BaseRequest) -> web.StreamResponse:
        """POST of gateway records or of device records by an SMGW."""
        if peer.role != "SMGW":
            return self._refuse("delivery.role", 403, f"{peer.cn} is no SMGW: may not deliver")
        if request.method != "POST":
            return refusal(405, "only POST")
        gateway = request.path in (RECORD_PATH, LIST_PATH)
        if not gateway and not request.path.startswith(DEVICE_PREFIX):
            return refusal(404, f"no resource {request.path}")
        sent = await request.read()
        try:
            body = self._open_body(request.content_type, sent, peer.name)
        except ClsbenchError as error:
            return self._refuse("delivery.content", 422, f"from {peer.name}: {error}", raw=sent)
        if request.path == LIST_PATH:
            return await self._gateway.several(peer, body)
        if gateway:
            return self._gateway.one(peer, body)
        return self._device(peer, request.path.removeprefix(DEVICE_PREFIX), body)

    def no_http(self, peer: Peer, status: int, reason: str) -> None:
        """Tells of a delivery that was no HTTP; it is answered already."""
        self._refuse("delivery.http", status, f"from {peer.cn}: {reason}")

    def take(self, known: KnownCls, items: list[bytes]) -> Holding:
        """Device records that came over the box's own channel; a refusal is told.

        Returns what is held of the box then.
        """
        if items:
            with self._store.batch():
                status, reason = self._store_all(known, items)
            if status != 200:
                self._refuse("cls-record.refused", status, reason)
        return self._store.device_holding(known.entry.cls_id, known.entry.first_seq)

    def _device(self, peer: Peer, cls_id: str, body: bytes) -> web.Response:
        known = self._known.get(cls_id)
        if known is None:
            reason = f"CLS {cls_id} is in no [[cls]] of this aEMT"
            return self._refuse("cls-record.unknown", 404, reason)
        if known.entry.smgw_id != peer.name:
            reason = f"CLS {cls_id} belongs to {known.entry.smgw_id}, not to {peer.name}"
            return self._refuse("cls-record.sender", 403, reason)
        try:
            with self._store.batch():
                status, reason = self._store_all(known, split_sequence(body))
        except BadInput as error:
            status, reason = 422, str(error)
        held = self._store.device_holding(cls_id, known.entry.first_seq)
        if status != 200:
            return self._refuse(
                "cls-record.refused", status, reason, raw=body, acknowledged=held.acknowledged
            )
        return web.json_response({"acknowledged": held.acknowledged} | asked(held.missing))

    def _store_all(self, known: KnownCls, items: list[bytes]) -> tuple[int, str]:
        """Stores what is good; returns the status and reason of the first that is not."""
        verdict = (200, "")
        for sealed in items:
            try:
                self._store_one(known, sealed)
            except ClsbenchError as error:
                status = 409 if isinstance(error, (Conflict, LinkBroken)) else 422
                verdict = verdict if verdict[0] != 200 else (status, str(error))
        return verdict

    def _store_one(self, known: KnownCls, sealed: bytes) -> None:
        record = open_sealed(sealed)
        _check_device_record(known, record)
        outcome = self._store.add_device_record(
            DeviceRecord(
                known.entry.cls_id,
                record.seq,
                record.uuid,
                record.event,
                sealed,
                known.key is not None,
                self._clock.now_ms(),
                record.previous,
            )
        )
        if outcome == STORED:
            detail = {"seq": record.seq, "cls_id": known.entry.cls_id, "event": record.event}
            detail["seal_checked"] = known.key is not None
            detail["signature_checked"] = known.sign_key is not None
            self._accepted("record.device", record.uuid, detail, sealed)

    def _accepted(self, name: str, uuid: str | None, detail: dict[str, Any], raw: bytes) -> None:
        self._events.event("SMGW", "aEMT", "record", name, uuid=uuid, detail=detail, raw=raw)

    def _refuse(
        self,
        name: str,
        status: int,
        reason: str,
        uuid: str | None = None,
        raw: bytes | None = None,
        **more: int,
    ) -> web.Response:
        log.warning("%s refused with %d: %s", name, status, reason)
        detail = {"status": status, "reason": reason}
        self._events.event(
            "SMGW", "aEMT", "fault", name, uuid=uuid, ok=False, detail=detail, raw=raw
        )
        return refusal(status, reason, **more)


def _check_device_record(known: KnownCls, record: SealedRecord) -> None:
    cls_id = known.entry.cls_id
    if known.key is not None and not record.seal_holds(known.key):
        raise PeerRefused(f"device record {record.seq} of {cls_id}: seal does not hold: altered")
    if known.sign_key is not None:
        try:
            check_signature(record.sealed, known.sign_key)
        except SignatureBroken as error:
            raise PeerRefused(f"device record {record.seq} of {cls_id}: {error}") from error
    if record.cls_id not in (None, cls_id):
        raise PeerRefused(f"device record {record.seq} of {record.cls_id} came as {cls_id}'s")
