"""Sealed records of a control box: where one ends, and which sequence number it carries.

Opens no seal (the gateway has no key): reads number, CLS-ID and link of the payload only, to
keep the records in order and apart. Sources: RFC 8742 (CBOR sequence), RFC 9052
(COSE_Mac0), `docs/wire.cddl`.
"""

import io
from dataclasses import dataclass
from typing import Any

import cbor2

from clsbench.device.signed import unwrap

MAX_RECORD_BYTES = 1024
_COSE_MAC0, _COSE_SIGN1 = 17, 18
_SEQ = 1
_CLS_ID = 6
_PREVIOUS = 13


class NotSealed(Exception):
    """The bytes are no sequence of sealed records; the text says where and why."""


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """One record. cls_id, previous (its link): None where the record does not state it."""

    seq: int
    cls_id: str | None
    sealed: bytes
    previous: bytes | None = None


def split_sequence(body: bytes) -> list[SealedRecord]:
    """The records of a CBOR sequence, in the order sent. Raises NotSealed."""
    records: list[SealedRecord] = []
    start = 0
    while start < len(body):
        window = body[start : start + MAX_RECORD_BYTES]
        stream = io.BytesIO(window)
        item = _decode(stream, start)
        sealed = window[: stream.tell()]
        records.append(_record(item, sealed, start))
        start += len(sealed)
    return records


def _decode(stream: io.BytesIO, start: int) -> Any:
    try:
        return cbor2.CBORDecoder(stream, read_size=1).decode()
    except (cbor2.CBORDecodeError, ValueError, RecursionError) as error:
        raise NotSealed(
            f"byte {start}: no CBOR item of at most {MAX_RECORD_BYTES} bytes"
        ) from error


def _record(item: Any, sealed: bytes, start: int) -> SealedRecord:
    if isinstance(item, cbor2.CBORTag) and item.tag == _COSE_SIGN1:
        inner = unwrap(sealed)
        item = _decode(io.BytesIO(inner), start) if inner != sealed else None
    if not isinstance(item, cbor2.CBORTag) or item.tag != _COSE_MAC0:
        raise NotSealed(f"byte {start}: no COSE_Mac0")
    parts = item.value
    if not isinstance(parts, list | tuple) or len(parts) != 4 or not isinstance(parts[2], bytes):
        raise NotSealed(f"byte {start}: COSE_Mac0 without its four parts")
    stream = io.BytesIO(parts[2])
    payload = _decode(stream, start)
    seq = payload.get(_SEQ) if isinstance(payload, dict) else None
    if isinstance(seq, bool) or not isinstance(seq, int) or not 1 <= seq < 2**63:
        raise NotSealed(f"byte {start}: record without a sequence number")
    cls_id = payload.get(_CLS_ID)
    previous = payload.get(_PREVIOUS)
    return SealedRecord(
        seq,
        cls_id if isinstance(cls_id, str) else None,
        sealed,
        previous if isinstance(previous, bytes) else None,
    )


def previous_of(sealed: bytes) -> bytes | None:
    """The link that one record states. Raises NotSealed."""
    return split_sequence(sealed)[0].previous
