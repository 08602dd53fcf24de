"""COSE_Mac0 with HMAC 256/256 (RFC 9052 section 6.2, RFC 9053 section 3.1): the seal of a record.

Knows one algorithm, one key and its id. Knows nothing of what is sealed, nor where keys come from.
"""

from hashlib import sha256

from dicamm.proto import cbor
from dicamm.proto.cbor import CborError, Tag

TAG_MAC0 = 17  # COSE_Mac0, RFC 9052 table 1
MIN_KEY = (
    16  # bytes; a shorter key is a provisioning mistake, 32 is what the algorithm is made for
)
MAC_SIZE = 32

_BLOCK = 64  # SHA-256
_PROTECTED = b"\xa1\x01\x05"  # {1: 5}: alg = HMAC 256/256
_KID = 4  # header parameter "kid"
# MAC_structure of RFC 9052 section 6.3 up to the payload: ["MAC0", protected, external_aad = h'']
_TO_BE_MACED = b"\x84\x64MAC0\x43" + _PROTECTED + b"\x40"


class CoseError(ValueError):
    """A seal that does not hold; the text says which part: form, algorithm, key id or tag."""


class HmacSha256:
    """HMAC (RFC 2104) with the key's two pads kept: a call costs the two SHA-256 passes.

    prefix: bytes that every message begins with, kept with the pad.
    """

    def __init__(self, key, prefix=b""):
        if len(key) > _BLOCK:
            key = sha256(key).digest()
        key = bytes(key) + bytes(_BLOCK - len(key))
        self._inner = bytes([byte ^ 0x36 for byte in key]) + prefix
        self._outer = bytes([byte ^ 0x5C for byte in key])

    def begin(self):
        """For a message in parts: a hash that takes them, up to `end`."""
        return sha256(self._inner)

    def end(self, inner):
        """The 32-byte authentication code of what `inner` of `begin` has taken."""
        outer = sha256(self._outer)
        outer.update(inner.digest())
        return outer.digest()

    def mac(self, message):
        """The 32-byte authentication code of prefix and message (bytes-like)."""
        inner = sha256(self._inner)
        inner.update(message)
        outer = sha256(self._outer)
        outer.update(inner.digest())
        return outer.digest()


class Mac0:
    """Seals and opens with one key.

    key: the secret, 32 bytes as a rule, MIN_KEY at least (ValueError otherwise).
    kid: its id, which travels in the clear; here the device id in ASCII.
    """

    def __init__(self, key, kid):
        if len(key) < MIN_KEY:
            raise ValueError("sealing key of %d bytes, at least %d" % (len(key), MIN_KEY))
        self._hmac = HmacSha256(key, _TO_BE_MACED)
        self._kid = bytes(kid)
        head = cbor.encode([_PROTECTED, {_KID: self._kid}])
        self._head = b"\xd1\x84" + head[1:]  # tag 17, then the same two items in an array of four

    def seal(self, payload):
        """The tagged COSE_Mac0 of `payload` (bytes-like, at most cbor.MAX_STRING)."""
        size = len(payload)
        if type(payload) is bytes and 24 <= size < 256:
            body = bytes((0x58, size)) + payload
        else:
            if isinstance(payload, str):
                raise TypeError("a payload is bytes")
            body = cbor.encode(memoryview(payload))
        return b"".join((self._head, body, b"\x58\x20", self._hmac.mac(body)))

    def open(self, sealed):
        """The payload of `sealed`, whose tag was made with this key under this key id.

        Accepts exactly the form that `seal` writes. Raises CoseError for anything else.
        """
        payload, tag = self._parts(sealed)
        expected = self._hmac.mac(cbor.encode(payload))
        if not same(expected, tag):
            raise CoseError("tag does not fit: other key, or changed after sealing")
        return payload

    def _parts(self, sealed):
        try:
            value = cbor.decode(sealed, (TAG_MAC0,))
        except CborError as error:
            raise CoseError("form: " + str(error)) from None
        if not isinstance(value, Tag) or not isinstance(value.value, list):
            raise CoseError("form: no tagged COSE_Mac0")
        if len(value.value) != 4:
            raise CoseError("form: no array of four")
        protected, unprotected, payload, tag = value.value
        if not (isinstance(payload, bytes) and isinstance(tag, bytes) and len(tag) == MAC_SIZE):
            raise CoseError("form: payload and 32-byte tag expected")
        if protected != _PROTECTED:
            raise CoseError("algorithm is not HMAC 256/256")
        if unprotected != {_KID: self._kid}:
            raise CoseError("key id is another, or not alone in the unprotected header")
        return payload, tag


def same(one, other):
    """Whether two byte strings are equal, in a time that does not tell where they differ."""
    if len(one) != len(other):
        return False
    difference = 0
    for index in range(len(one)):
        difference |= one[index] ^ other[index]
    return difference == 0
