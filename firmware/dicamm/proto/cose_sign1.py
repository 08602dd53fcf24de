"""COSE_Sign1 with ES256 (RFC 9052 section 4.2, RFC 9053 section 2.1) around a sealed record.

For a record that is on flash already: signing takes about a second on a board. Not constant-time
(see `proto.p256`). Import it where it is wanted only.
"""

from dicamm.proto import cbor, p256

TAG_SIGN1 = 18

_PROTECTED = b"\xa1\x01\x26"  # {1: -7}: alg = ES256
_KID = 4


class Sign1:
    """secret: the private key, 32 bytes (ValueError where it is none of P-256); kid: its id, here
    the device id in ASCII."""

    def __init__(self, secret, kid):
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < p256.N:
            raise ValueError("no private key of P-256")
        self._secret = secret
        head = cbor.encode([_PROTECTED, {_KID: bytes(kid)}])
        self._head = b"\xd2\x84" + head[1:]  # tag 18, then the same two items in an array of four

    def sign(self, payload):
        """The tagged COSE_Sign1 of `payload` (bytes)."""
        found = []
        for _ in self.steps(payload, found):
            pass
        return found[0]

    def steps(self, payload, found):
        """As `sign`, in pieces: see `p256.sign_steps`."""
        covered = cbor.encode(["Signature1", _PROTECTED, b"", payload])
        made = []
        yield from p256.sign_steps(int.from_bytes(self._secret, "big"), covered, made)
        found.append(self._head + cbor.encode(payload) + b"\x58\x40" + made[0])
