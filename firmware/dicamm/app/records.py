"""Reads records back from the journal: for the announcement, and after a restart."""

from dicamm.control.command import uuid_text
from dicamm.metering import record
from dicamm.metering.grid import PERIOD_MS
from dicamm.proto import cbor

LOOKS = 256  # records among which a TAF7 record is looked for: 0.5 s of a start on an RP2040


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


def recent(journal, recorder, most):
    """(events, last_due_ms): the newest TAF16 records, oldest first, as (seq, uuid, event), and
    the newest due time that a TAF7 record names, or None.

    `most` of them, and more only until one is a begin or an end: what is open never goes unseen,
    however long ago it began. Where the newest LOOKS records name no due time, it is that before
    the oldest of them: none has been recorded since.
    """
    events = []
    last_due_ms = None
    seeking = True  # the due time
    switched = False
    for seq in range(journal.newest, max(0, journal.oldest - 1), -1):
        if seeking and journal.newest - seq >= LOOKS:
            last_due_ms = _due_before(recorder.fields(seq))
            seeking = False
        if len(events) >= most and switched and not seeking:
            break
        kind = journal.kind(seq)
        wanted = len(events) < most or not switched
        if not (wanted if kind == record.TAF16 else kind and seeking):
            continue
        fields = recorder.fields(seq)
        if fields is None:
            continue
        if kind != record.TAF16:
            last_due_ms = fields[record.EVENT_MS]
            seeking = False
            continue
        event = fields[record.EVENT]
        if len(events) < most or event == record.BEGIN or event in record.ENDS:
            events.append((seq, fields[record.UUID], event))
        switched = switched or event == record.BEGIN or event in record.ENDS
    events.reverse()
    return events, last_due_ms


def _due_before(fields):
    """The due time before a record was made, None where it knew no time."""
    captured_ms = fields.get(record.CAPTURED_MS) if fields else None
    return captured_ms // PERIOD_MS * PERIOD_MS if captured_ms else None
