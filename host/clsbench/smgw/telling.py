"""What the bench's event log is told of readings and records, in one form for all tariffs."""

from clsbench.smgw.core.readings import OriginalReading
from clsbench.smgw.journal import SMGW, Journal
from clsbench.smgw.store import Written


def tell_reading(journal: Journal, reading: OriginalReading, uuid: str | None) -> None:
    """A reading that became part of a record."""
    detail = {
        "meter_id": reading.meter_id,
        "captured_ms": reading.captured_ms,
        "values": [value.as_json() for value in reading.values],
    }
    journal.event(
        "meter", SMGW, "message", "lmn.reading", uuid=uuid, detail=detail, raw=reading.telegram
    )


def record_detail(record: Written, reading: OriginalReading) -> dict:
    """What a record is called and what it holds."""
    return {
        "profile_id": record.profile_id,
        "seq": record.seq,
        "meter_id": reading.meter_id,
        "captured_ms": record.captured_ms,
        "values": [value.as_json() for value in reading.values],
    }
