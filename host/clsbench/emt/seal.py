"""Sealed device records as the aEMT reads them: split a sequence, open, check the seal.

A reader of its own on cbor2 and hmac, so that it shares no line with the device that wrote
the records. Format: docs/wire.cddl; COSE_Mac0 of RFC 9052, HMAC 256/256.
"""

import hashlib
import hmac
import io
import uuid as uuidlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2

from clsbench.device.records import EVENTS
from clsbench.device.signed import unwrap
from clsbench.errors import BadInput

COSE_MAC0 = 17
HMAC_256 = cbor2.dumps({1: 5}, canonical=True)
KEY_BYTES = 32
MAX_SEALED_BYTES = 1024


@dataclass(frozen=True)
class SealedRecord:
    """An opened record. `sealed`: its bytes as received; `fields`: the payload, integer keys."""

    sealed: bytes
    key_id: str
    fields: dict[int, Any]
    protected: bytes
    payload: bytes
    tag: bytes

    @property
    def seq(self) -> int:
        return self.fields[1]

    @property
    def cls_id(self) -> str | None:
        return self.fields.get(6)

    @property
    def uuid(self) -> str | None:
        raw = self.fields.get(3)
        return str(uuidlib.UUID(bytes=raw)) if raw is not None else None

    @property
    def event(self) -> str | None:
        number = self.fields.get(4)
        return EVENTS.get(number, str(number)) if number is not None else None

    @property
    def previous(self) -> bytes | None:
        """The link to the record before, where one is stated."""
        link = self.fields.get(13)
        return link if isinstance(link, bytes) else None

    def seal_holds(self, key: bytes) -> bool:
        """True where the tag is the one this key gives (RFC 9052 section 6.3)."""
        covered = cbor2.dumps(["MAC0", self.protected, b"", self.payload], canonical=True)
        return hmac.compare_digest(hmac.new(key, covered, hashlib.sha256).digest(), self.tag)


def split_sequence(body: bytes) -> list[bytes]:
    """The items of a CBOR sequence (RFC 8742) as the bytes they came in. Raises BadInput."""
    stream = io.BytesIO(body)
    items = []
    while (start := stream.tell()) < len(body):
        try:
            cbor2.CBORDecoder(stream).decode()
        except (cbor2.CBORError, ValueError) as error:
            raise BadInput(f"byte {start} of the sequence begins no CBOR item: {error}") from error
        items.append(body[start : stream.tell()])
    return items


def open_sealed(sealed: bytes) -> SealedRecord:
    """Opens one tagged COSE_Mac0 without checking its seal. Raises BadInput naming what is off."""
    if len(sealed) > MAX_SEALED_BYTES:
        raise BadInput(f"sealed record of {len(sealed)} bytes: at most {MAX_SEALED_BYTES}")
    item = _decode(unwrap(sealed), "record")
    if not isinstance(item, cbor2.CBORTag) or item.tag != COSE_MAC0:
        raise BadInput("record is no tagged COSE_Mac0")
    parts = item.value
    if not isinstance(parts, (list, tuple)) or len(parts) != 4:
        raise BadInput("COSE_Mac0 is no list of four")
    protected, unprotected, payload, tag = parts
    if not all(isinstance(part, bytes) for part in (protected, payload, tag)):
        raise BadInput("COSE_Mac0: protected header, payload and tag must be byte strings")
    if protected != HMAC_256:
        raise BadInput(f"protected header {protected.hex()}: expected HMAC 256/256 (a10105)")
    fields = _decode(payload, "payload")
    _check_fields(fields)
    return SealedRecord(sealed, _key_id(unprotected), dict(fields), protected, payload, tag)


def read_key(path: Path) -> bytes:
    """A device key: a file of 32 raw bytes or 64 hex digits. Raises BadInput."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"device key {path}: cannot be read: {error.strerror}") from error
    if len(content) == KEY_BYTES:
        return content
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadInput(f"device key {path}: must hold 32 raw bytes or 64 hex digits")
    return key


def _decode(data: bytes, what: str) -> Any:
    try:
        return cbor2.loads(data)
    except (cbor2.CBORError, ValueError) as error:
        raise BadInput(f"{what} is not CBOR: {error}") from error


def _key_id(unprotected: Any) -> str:
    raw = unprotected.get(4) if isinstance(unprotected, Mapping) else None
    if not isinstance(raw, bytes) or not raw.isascii():
        raise BadInput("COSE_Mac0: key id (unprotected header 4) missing or not ASCII bytes")
    return raw.decode("ascii")


def _check_fields(fields: Any) -> None:
    if not isinstance(fields, Mapping):  # cbor2 makes other things with `get` of some tags
        raise BadInput("payload is no map")
    seq, uuid = fields.get(1), fields.get(3)
    if not isinstance(seq, int) or isinstance(seq, bool) or not 1 <= seq < 2**63:
        raise BadInput(f"payload: sequence number (key 1) is {seq!r}")
    if uuid is not None and (not isinstance(uuid, bytes) or len(uuid) != 16):
        raise BadInput("payload: uuid (key 3) is not 16 bytes")
