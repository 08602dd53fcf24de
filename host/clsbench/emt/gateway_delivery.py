"""Gateway records that an SMGW delivers: judged, stored, confirmed; one, or a list of them.

Knows the rules such a record must meet: signer, content, sender, number. A list is the same
records, one behind the other (each a DER message, which tells its length), each judged by
itself and all of them stored in one transaction.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from clsbench.clock import BenchClock
from clsbench.device.intake import Run
from clsbench.emt.store import EmtStore, GatewayRecord
from clsbench.errors import ClsbenchError
from clsbench.net.tls import Peer
from clsbench.smgw.core.cms_der import SEQUENCE, DerError, Reader
from clsbench.smgw.core.records import read_content
from clsbench.store.device_records import Conflict

RECORD_PATH = "/emt/v1/records"
LIST_PATH = "/emt/v1/record-list"
MAX_LIST = 256  # records in one body
AT_ONCE = 8  # signatures checked before others get their turn

# the signed content and the signer's SMGW id; raises ClsbenchError where the CMS does not hold
VerifyCms = Callable[[bytes], tuple[bytes, str]]
Refuse = Callable[[str, int, str, str | None, bytes | None], web.Response]
Accepted = Callable[[str, str | None, dict[str, Any], bytes], None]


class Refused(Exception):
    """A record that is not taken: name of the event, status, reason, and the UUID if known."""

    def __init__(self, name: str, status: int, reason: str, uuid: str | None = None):
        super().__init__(reason)
        self.name, self.status, self.uuid = name, status, uuid


class GatewayDelivery:
    """refuse(name, status, reason, uuid, raw) tells of a refusal and answers it; accepted(name,
    uuid, detail, raw) tells of a record taken."""

    def __init__(
        self,
        store: EmtStore,
        verify_cms: VerifyCms,
        clock: BenchClock,
        refuse: Refuse,
        accepted: Accepted,
    ):
        self._store = store
        self._verify_cms = verify_cms
        self._clock = clock
        self._refuse = refuse
        self._accepted = accepted

    def one(self, peer: Peer, der: bytes) -> web.Response:
        """Takes one record."""
        try:
            record = self._judged(peer, der)
            outcome = self._stored(record)
        except Refused as refused:
            return self._told(refused, der)
        self._tell(record, outcome)
        lacking = self._store.missing_gateway_records(record.smgw_id, record.profile_id)
        return web.json_response({"stored": True} | asked(lacking))

    async def several(self, peer: Peer, body: bytes) -> web.Response:
        """Takes what is good of a list; the answer has a status for each record."""
        try:
            items = split_list(body)
        except DerError as error:
            reason = f"from {peer.name}: no list of records: {error}"
            return self._refuse("record.list", 422, reason, None, body)
        judged: list[GatewayRecord | Refused] = []
        for number, der in enumerate(items):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            judged.append(self._outcome(peer, der))
        outcomes = self._store_all(judged)
        for der, each, outcome in zip(items, judged, outcomes, strict=True):
            if isinstance(outcome, Refused):
                self._told(outcome, der)
            elif isinstance(each, GatewayRecord):
                self._tell(each, outcome)
        return web.json_response(self._answer(judged, outcomes))

    def _outcome(self, peer: Peer, der: bytes) -> GatewayRecord | Refused:
        try:
            return self._judged(peer, der)
        except Refused as refused:
            return refused

    def _judged(self, peer: Peer, der: bytes) -> GatewayRecord:
        try:
            content, signer = self._verify_cms(der)
            record = self._record(content, der)
        except ClsbenchError as error:
            raise Refused("record.signature", 422, f"from {peer.name}: {error}") from error
        if {record.smgw_id, signer} != {peer.name}:
            reason = f"{peer.name} delivered a record of {record.smgw_id} signed by {signer}"
            raise Refused("record.sender", 403, reason, record.uuid)
        return record

    def _record(self, content: bytes, der: bytes) -> GatewayRecord:
        fields = read_content(content)
        return GatewayRecord(
            fields["smgw_id"],
            fields["profile_id"],
            fields["seq"],
            fields.get("uuid"),
            fields["type"],
            content,
            der,
            self._clock.now_ms(),
        )

    def _stored(self, record: GatewayRecord) -> str:
        try:
            return self._store.add_gateway_record(record)
        except Conflict as error:
            raise Refused("record.conflict", 409, str(error), record.uuid) from error

    def _store_all(self, judged: list[GatewayRecord | Refused]) -> list[str | Refused]:
        outcomes: list[str | Refused] = []
        with self._store.batch():
            for each in judged:
                try:
                    outcomes.append(each if isinstance(each, Refused) else self._stored(each))
                except Refused as refused:
                    outcomes.append(refused)
        return outcomes

    def _answer(
        self, judged: list[GatewayRecord | Refused], outcomes: list[str | Refused]
    ) -> dict[str, Any]:
        refused = {
            str(place): str(each)
            for place, each in enumerate(outcomes)
            if isinstance(each, Refused)
        }
        chains = {
            (each.smgw_id, each.profile_id) for each in judged if isinstance(each, GatewayRecord)
        }
        missing = {
            profile_id: runs
            for smgw_id, profile_id in sorted(chains)
            if (runs := self._store.missing_gateway_records(smgw_id, profile_id))
        }
        answer: dict[str, Any] = {
            "statuses": [each.status if isinstance(each, Refused) else 200 for each in outcomes]
        }
        return answer | ({"errors": refused} if refused else {}) | asked_of(missing)

    def _tell(self, record: GatewayRecord, outcome: str) -> None:
        detail = {"seq": record.seq, "profile_id": record.profile_id, "type": record.type}
        self._accepted("record.gateway", record.uuid, detail | {"outcome": outcome}, record.cms)

    def _told(self, refused: Refused, der: bytes) -> web.Response:
        raw = None if refused.name == "record.sender" else der
        return self._refuse(refused.name, refused.status, str(refused), refused.uuid, raw)


def split_list(body: bytes) -> list[bytes]:
    """The messages of a list. Raises DerError where it is none, or of more than MAX_LIST."""
    reader, items = Reader(body), []
    while reader.next_is(SEQUENCE) and len(items) < MAX_LIST:
        items.append(reader.element(SEQUENCE, f"record {len(items)}"))
    reader.end("list")
    return items


def asked(lacking: list[Run]) -> dict[str, list[list[int]]]:
    """The ranges to be sent again, in an answer; nothing where none is missing."""
    return {"missing": [list(run) for run in lacking]} if lacking else {}


def asked_of(lacking: dict[str, list[Run]]) -> dict[str, dict[str, list[list[int]]]]:
    """The same by profile, for a list."""
    runs = {profile_id: [list(run) for run in each] for profile_id, each in lacking.items()}
    return {"missing": runs} if runs else {}
