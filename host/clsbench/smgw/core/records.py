"""Gateway records: the content that is signed, as UTF-8 JSON without blanks, keys sorted.

Knows the fields of each TAF's record and how status and time state come into them.
Sequence numbers are given by the store, signatures made by `cms`.
Sources: FlexMC final report (UUID, CLS-ID, text, event time beside value and sequence
number); BSI publishes no message format for TAF16, so the field names are this project's.
"""

import json
from collections.abc import Iterable
from typing import Any

from clsbench.errors import BadInput
from clsbench.smgw.core import status
from clsbench.smgw.core.clock_state import TimeState
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import TAF_NUMBERS, THRESHOLD, TafProfile
from clsbench.smgw.core.fields import FieldError, object_body, text_field, uint_field, uuid_field
from clsbench.smgw.core.grid import Slot
from clsbench.smgw.core.readings import OriginalReading, Value
from clsbench.smgw.core.taf16 import Announcement

MAX_NAME_BYTES = 256  # of a gateway's or a profile's name
TYPES = tuple(f"taf{number}" for number in TAF_NUMBERS)


def taf16_record(
    smgw_id: str,
    taf: TafProfile,
    seq: int,
    announcement: Announcement,
    reading: OriginalReading,
    time_state: TimeState,
) -> dict[str, Any]:
    """The record of an event: the reading taken for it and what its source announced."""
    return {
        **_common(smgw_id, taf, seq, time_state, reading),
        "type": "taf16",
        "uuid": announcement.uuid,
        "cls_id": announcement.cls_id,
        "event": announcement.event,
        "text": announcement.text,
        "event_ms": announcement.event_ms,
        "source": announcement.source,
    }


def due_record(
    smgw_id: str, taf: TafProfile, seq: int, slot: Slot, time_state: TimeState
) -> dict[str, Any]:
    """The record of a due time (TAF7, TAF14, cyclic TAF9 and 10).

    A gap has no values, no capture time, and says NO_VALUE; a substitute VALUE_NOT_VALIDATED.
    """
    bits = [status.VALUE_NOT_VALIDATED] if slot.substitute else []
    return {
        **_common(smgw_id, taf, seq, time_state, slot.reading, bits),
        "type": f"taf{taf.number}",
        "due_ms": slot.due_ms,
        "source": None,
    }


def state_record(
    smgw_id: str,
    taf: TafProfile,
    seq: int,
    reading: OriginalReading,
    time_state: TimeState,
    trigger: str,
) -> dict[str, Any]:
    """The record of a reading fetched or sent of itself (TAF9, TAF10). trigger: its mode."""
    bits = [status.VALUE_TRIGGERED] if trigger == THRESHOLD else []
    return {
        **_common(smgw_id, taf, seq, time_state, reading, bits),
        "type": f"taf{taf.number}",
        "source": trigger,
    }


def period_record(
    smgw_id: str,
    taf: TafProfile,
    seq: int,
    meter_id: str,
    registers: list[Derived],
    time_state: TimeState,
) -> dict[str, Any]:
    """The record of a period (TAF1, TAF2, TAF6); due_ms is its end. registers: at least one.

    A register that could not be formed is left out of the values and named in `missing`.
    """
    word = 0
    for register in registers:
        word |= register.status
    return {
        "type": f"taf{taf.number}",
        "smgw_id": smgw_id,
        "profile_id": taf.profile_id,
        "seq": seq,
        "start_ms": registers[0].start_ms,
        "due_ms": registers[0].end_ms,
        "captured_ms": None,
        "meter_id": meter_id,
        "values": [
            Value(r.obis, r.raw, r.scaler, r.unit).as_json()
            for r in registers
            if r.raw is not None
        ],
        "missing": [r.obis for r in registers if r.raw is None],
        "status": status.to_hex(word),
        "time_state": time_state.state,
        "source": None,
    }


def content_bytes(record: dict[str, Any]) -> bytes:
    """The bytes to be signed."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def read_content(content: bytes) -> dict[str, Any]:
    """The record in signed bytes, whoever made them.

    Its type, smgw_id, profile_id, number and, where it has one, UUID are sound; nothing else of
    it is looked at. Raises BadInput saying what is wrong.
    """
    try:
        record = object_body(json.loads(content))
        if text_field(record, "type", 5) not in TYPES:
            raise FieldError(f"type: expected one of {', '.join(TYPES)}")
        for name in ("smgw_id", "profile_id"):
            text_field(record, name, MAX_NAME_BYTES)
        if uint_field(record, "seq") < 1:
            raise FieldError("seq: expected a number from 1")
        if record.get("uuid") is not None:
            uuid_field(record, "uuid")
    except FieldError as error:
        raise BadInput(f"signed content is no gateway record: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"signed content is not JSON: {error}") from error
    return record


def _common(
    smgw_id: str,
    taf: TafProfile,
    seq: int,
    time_state: TimeState,
    reading: OriginalReading | None,
    gateway_bits: Iterable[int] = (),
) -> dict[str, Any]:
    bits = [*gateway_bits, *([] if time_state.valid else [status.TIME_NOT_VALID])]
    if reading is None:
        bits.append(status.NO_VALUE)
    word = status.combine(bits, reading.meter_word if reading else 0)
    return {
        "smgw_id": smgw_id,
        "profile_id": taf.profile_id,
        "seq": seq,
        "captured_ms": reading.captured_ms if reading else None,
        "meter_id": reading.meter_id if reading else taf.meter_id,
        "values": [v.as_json() for v in reading.values if taf.wants(v.obis)] if reading else [],
        "status": status.to_hex(word),
        "time_state": time_state.state,
    }
