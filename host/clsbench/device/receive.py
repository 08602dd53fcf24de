"""Takes a DICAMM's records over its bench link into a file: each once, seal and link judged
before anything is acknowledged, gaps asked for again.

The host is a receiver like the gateway: what it has stored is on the disk, what it refuses is
told and replaces nothing.
"""

from dataclasses import dataclass, field
from pathlib import Path
from time import time_ns

from clsbench.device.link import LinkClient
from clsbench.device.records import SealBroken, open_record, read_unchecked
from clsbench.errors import ClsbenchError
from clsbench.store.database import transaction
from clsbench.store.device_records import STORED, DeviceRecord, DeviceRecords, opened


@dataclass
class Received:
    """stored: new numbers; repeated: those that were here; refused: why others were not taken;
    missing: ranges that the device could not give; given_way: up to here the device need keep
    nothing, None when it was told nothing."""

    stored: list[int] = field(default_factory=list)
    repeated: int = 0
    refused: list[str] = field(default_factory=list)
    acknowledged: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)
    given_way: int | None = None


async def receive(
    link: LinkClient, path: Path, cls_id: str, key: bytes | None, tell: bool
) -> Received:
    """Fetches what the file at `path` lacks and stores it.

    key: the device's, without it seals go unchecked; tell: acknowledge to the device what is
    stored then. Raises EnvironmentProblem when the file cannot be written, PeerSilent.
    """
    result = Received()
    with opened(path, lambda sealed: read_unchecked(sealed).previous) as (database, table):
        first = (await link.status())["journal"]["oldest"] or 1
        held = table.holding(cls_id, first)
        fetched = await link.records(max(first, held.acknowledged + 1))
        with transaction(database):
            _store(table, cls_id, key, fetched, result)
        held = table.holding(cls_id, first)
        if tell:
            given_way, again = await link.acknowledge(held.acknowledged, held.missing)
            with transaction(database):
                _store(table, cls_id, key, again, result)
            held = table.holding(cls_id, first)
            if again:
                given_way, _none = await link.acknowledge(held.acknowledged)
            result.given_way = given_way
    result.acknowledged, result.missing = held.acknowledged, held.missing
    return result


def _store(
    table: DeviceRecords,
    cls_id: str,
    key: bytes | None,
    fetched: list[tuple[int, bytes]],
    result: Received,
) -> None:
    for seq, sealed in fetched:
        try:
            record = open_record(sealed, key) if key is not None else read_unchecked(sealed)
            if (record.cls_id, record.seq) != (cls_id, seq):
                raise SealBroken(f"is sealed as record {record.seq} of {record.cls_id}")
            row = DeviceRecord(
                cls_id,
                seq,
                record.uuid,
                record.event,
                sealed,
                key is not None,
                time_ns() // 1_000_000,
                record.previous,
            )
            outcome = table.add(row)
        except ClsbenchError as error:
            result.refused.append(f"record {seq}: {error}")
            continue
        if outcome == STORED:
            result.stored.append(seq)
        else:
            result.repeated += 1
