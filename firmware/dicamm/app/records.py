"""Reads records back from the journal: for the announcement, and after a restart."""

from dicamm.control.command import uuid_text
from dicamm.metering import record
from dicamm.proto import cbor

START_SCAN = 128  # newest records looked at after a restart


def event_fields(mac0, sealed):
    """What the gateway is told of a TAF16 record (keys of the HAN interface)."""
    fields = cbor.decode(mac0.open(sealed))
    return {
        "uuid": uuid_text(fields[record.UUID]),
        "cls_id": fields[record.CLS_ID],
        "event": record.EVENT_NAMES[fields[record.EVENT]],
        "text": fields.get(record.TEXT, ""),
        "event_ms": fields.get(record.EVENT_MS, fields.get(record.CAPTURED_MS)),
        "device_seq": fields[record.SEQ],
    }


def recent(journal, mac0):
    """(events, last_due_ms): the newest TAF16 records, oldest first, as (seq, uuid, event), and
    the due time of the newest TAF7 record or None."""
    events = []
    last_due_ms = None
    newest = journal.newest
    for seq in range(newest, max(0, journal.oldest - 1, newest - START_SCAN), -1):
        sealed = journal.read(seq)
        if sealed is None:
            continue
        fields = cbor.decode(mac0.open(sealed))
        if fields[record.TAF] == record.TAF16:
            events.append((seq, fields[record.UUID], fields[record.EVENT]))
        elif last_due_ms is None:
            last_due_ms = fields[record.EVENT_MS]
    events.reverse()
    return events, last_due_ms
