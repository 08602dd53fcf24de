"""Inside the CLS channel, on the host's side: envelopes in a byte stream, session keys, seals.

Sans-IO and total. Written apart from the device's code, with cbor2, hmac and cryptography, so
that each checks the other. Rules: `docs/cls-channel.md`, bytes: `docs/wire.cddl`.
"""

import hashlib
import hmac
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from clsbench.errors import PeerRefused

VERSION = 1
DEVICE_OPEN, EMT_OPEN = 15, 16
NONCE_BYTES = 16
MAX_MESSAGE = 1024  # bytes in one envelope

_MAC0 = 17
_HMAC_256 = bytes.fromhex("a10105")
_INFO = b"DICAMM channel 1 "
_TO_EMT, _TO_DEVICE = b"to aEMT ", b"to device "
_BSTR, _BSTR_1, _BSTR_2 = 0x40, 0x58, 0x59


class ChannelBroken(PeerRefused):
    """What came cannot be part of this channel: it is to be closed."""


def envelope(content: bytes) -> bytes:
    """`content` as a CBOR byte string, the form in which it travels."""
    return cbor2.dumps(content)


class EnvelopeReceiver:
    """Takes the stream apart, in any chunking; holds at most one envelope.

    `fault`: why nothing more is taken, "" while all is well.
    """

    def __init__(self) -> None:
        self.fault = ""
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The contents of the envelopes that are whole by now."""
        found: list[bytes] = []
        if self.fault:
            return found
        self._buffer += data
        while not self.fault and (bounds := self._bounds()) is not None:
            begin, end = bounds
            if end > len(self._buffer):
                break
            found.append(self._buffer[begin:end])
            self._buffer = self._buffer[end:]
        return found

    def _bounds(self) -> tuple[int, int] | None:
        if not self._buffer:
            return None
        first = self._buffer[0]
        if _BSTR <= first < _BSTR + 24:
            return 1, 1 + first - _BSTR
        extra = {_BSTR_1: 1, _BSTR_2: 2}.get(first)
        if extra is None:
            self._break(f"byte {first:#04x} begins no envelope")
            return None
        if len(self._buffer) < 1 + extra:
            return None
        size = int.from_bytes(self._buffer[1 : 1 + extra], "big")
        if size < (24, 256)[extra - 1]:
            self._break("length not in its shortest form")
        elif size > MAX_MESSAGE:
            self._break(f"envelope of {size} bytes, at most {MAX_MESSAGE}")
        return None if self.fault else (1 + extra, 1 + extra + size)

    def _break(self, reason: str) -> None:
        self.fault = reason
        self._buffer = b""


def device_open(content: bytes) -> tuple[str, bytes]:
    """(CLS-ID, nonce) of a box's first message. Raises ChannelBroken."""
    message = _map(content)
    cls_id, nonce = message.get(2), message.get(3)
    if message.get(0) != DEVICE_OPEN or message.get(1) != VERSION:
        raise ChannelBroken("the first message opens no channel of version 1")
    if not isinstance(cls_id, str) or not isinstance(nonce, bytes):
        raise ChannelBroken("the first message lacks CLS-ID or nonce")
    if len(nonce) != NONCE_BYTES:
        raise ChannelBroken(f"nonce of {len(nonce)} bytes, expected {NONCE_BYTES}")
    return cls_id, nonce


def emt_open(nonce: bytes) -> bytes:
    """The answer to it."""
    return cbor2.dumps({0: EMT_OPEN, 1: VERSION, 3: nonce}, canonical=True)


class Seals:
    """Seals what goes to the device, opens what comes from it: each in its place, once.

    key: the device's record key; nonces: of both sides. A message that is altered, repeated,
    left out or out of turn breaks the channel.
    """

    def __init__(self, key: bytes, cls_id: str, device_nonce: bytes, emt_nonce: bytes):
        salt = device_nonce + emt_nonce
        self._kid = cls_id.encode("ascii")
        self._out_key = _session_key(key, salt, _INFO + _TO_DEVICE + self._kid)
        self._in_key = _session_key(key, salt, _INFO + _TO_EMT + self._kid)
        self._sent = self._opened = 0

    def seal(self, message: dict[int, Any]) -> bytes:
        """The tagged COSE_Mac0 of a message, numbered."""
        self._sent += 1
        payload = cbor2.dumps([self._sent, message], canonical=True)
        tag = _mac(self._out_key, payload)
        return cbor2.dumps(cbor2.CBORTag(_MAC0, [_HMAC_256, {4: self._kid}, payload, tag]))

    def open(self, sealed: bytes) -> dict[int, Any]:
        """The message. Raises ChannelBroken."""
        item = _decoded(sealed)
        if not isinstance(item, cbor2.CBORTag) or item.tag != _MAC0:
            raise ChannelBroken("message is no COSE_Mac0")
        parts = item.value
        if not isinstance(parts, (list, tuple)) or len(parts) != 4:
            raise ChannelBroken("COSE_Mac0 is no list of four")
        protected, unprotected, payload, tag = parts
        if protected != _HMAC_256 or unprotected != {4: self._kid}:
            raise ChannelBroken("COSE_Mac0 with another algorithm or key id")
        if not isinstance(payload, bytes) or not isinstance(tag, bytes):
            raise ChannelBroken("COSE_Mac0 without payload or tag")
        if not hmac.compare_digest(_mac(self._in_key, payload), tag):
            raise ChannelBroken("seal does not hold: another key, or changed on the way")
        return self._in_turn(_decoded(payload))

    def _in_turn(self, content: Any) -> dict[int, Any]:
        if not isinstance(content, (list, tuple)) or len(content) != 2:
            raise ChannelBroken("payload is no pair of number and message")
        number, message = content
        if number != self._opened + 1:
            raise ChannelBroken(f"message {number} behind message {self._opened}")
        if not isinstance(message, dict):
            raise ChannelBroken("message is no map")
        self._opened += 1
        return message


def _session_key(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def _mac(key: bytes, payload: bytes) -> bytes:
    covered = cbor2.dumps(["MAC0", _HMAC_256, b"", payload])
    return hmac.new(key, covered, hashlib.sha256).digest()


def _map(content: bytes) -> dict[Any, Any]:
    message = _decoded(content)
    if not isinstance(message, dict):
        raise ChannelBroken("message is no map")
    return message


def _decoded(content: bytes) -> Any:
    try:
        return cbor2.loads(content)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError) as error:
        raise ChannelBroken(f"no CBOR: {error}") from error
