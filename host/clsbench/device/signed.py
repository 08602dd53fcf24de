"""Sealed records in a COSE_Sign1 with ES256 (RFC 9052 section 4.2), as a DICAMM with the setting
`sign` delivers them: taking the record out, checking the signature.

Independent of the device's code: cbor2 decodes, `cryptography` verifies.
"""

from pathlib import Path
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from clsbench.errors import BadInput, ClsbenchError

_FIRST = 0xD2  # CBOR tag 18
_PROTECTED = bytes.fromhex("a10126")  # {1: -7}


class SignatureBroken(ClsbenchError):
    """A record is not signed, or by another key, or was altered; the text says which."""


def is_signed(data: bytes) -> bool:
    """True for a COSE_Sign1 in the device's form, whoever signed it."""
    return _parts(data) is not None


def read_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """A device's public key, PEM, P-256. Raises BadInput."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{path}: no public key in PEM, such as NAME.sign.pub.pem") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInput(f"{path}: not a key on P-256, on which devices sign")
    return key


def unwrap(data: bytes) -> bytes:
    """The sealed record in a COSE_Sign1; anything else as it is. Checks no signature."""
    parts = _parts(data)
    return data if parts is None else parts[2]


def check_signature(data: bytes, public_key: ec.EllipticCurvePublicKey) -> None:
    """Raises SignatureBroken unless `data` is a record signed with the key of `public_key`."""
    parts = _parts(data)
    if parts is None:
        raise SignatureBroken("record bears no signature (COSE_Sign1 with ES256)")
    protected, _, payload, signature = parts
    covered = cbor2.dumps(["Signature1", protected, b"", payload])
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    try:
        public_key.verify(encode_dss_signature(r, s), covered, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise SignatureBroken("signature does not fit: altered, or another key") from error


def _parts(data: bytes) -> list[Any] | None:
    """The four parts of a COSE_Sign1 in exactly the device's form, or None."""
    if not data or data[0] != _FIRST:
        return None
    try:
        tag = cbor2.loads(data)
        protected, unprotected, payload, signature = tag.value
        well = (protected, set(unprotected), len(signature)) == (_PROTECTED, {4}, 64)
        form = [protected, {4: unprotected[4]}, payload, signature]
        exact = cbor2.dumps(cbor2.CBORTag(18, form), canonical=True) == data
    except (cbor2.CBORError, AttributeError, KeyError, TypeError, ValueError):
        return None
    bytes_all = isinstance(payload, bytes) and isinstance(signature, bytes)
    return form if well and exact and bytes_all else None
