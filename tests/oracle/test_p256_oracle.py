"""Our P-256 signatures against OpenSSL's, through `cryptography`, and COSE_Sign1 against cbor2."""

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from dicamm.proto import p256
from dicamm.proto.cose_sign1 import Sign1

secrets = st.integers(1, p256.N - 1)


def check(key: ec.EllipticCurvePrivateKey, signature: bytes, message: bytes) -> None:
    """Raises InvalidSignature unless OpenSSL accepts r || s."""
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    key.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))


@settings(max_examples=60, deadline=None)
@given(secrets, st.binary(max_size=300))
def test_openssl_accepts_every_signature_and_of_another_message_none(secret, message):
    key = ec.derive_private_key(secret, ec.SECP256R1())
    signature = p256.sign(secret, message)
    check(key, signature, message)
    with pytest.raises(InvalidSignature):
        check(key, signature, message + b"\x00")


@settings(max_examples=60, deadline=None)
@given(st.one_of(secrets, st.integers(1, 4096), st.integers(p256.N - 4096, p256.N - 1)))
def test_every_public_key_is_that_of_openssl(secret):
    numbers = ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_numbers()
    assert p256.multiply(secret) == (numbers.x, numbers.y)


def test_openssl_makes_the_same_deterministic_signature():
    key = ec.derive_private_key(7, ec.SECP256R1())
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    der = key.sign(b"record", algorithm)
    r, s = (int.from_bytes(p256.sign(7, b"record")[at : at + 32], "big") for at in (0, 32))
    assert der == encode_dss_signature(r, s)


def test_cose_sign1_is_what_rfc_9052_signs():
    secret = (12345).to_bytes(32, "big")
    made = Sign1(secret, b"ETST0020000017").sign(b"sealed record")
    tag = cbor2.loads(made)
    protected, unprotected, payload, signature = tag.value
    assert tag.tag == 18 and cbor2.loads(protected) == {1: -7}
    assert (unprotected, payload) == ({4: b"ETST0020000017"}, b"sealed record")
    assert cbor2.dumps(tag, canonical=True) == made
    covered = cbor2.dumps(["Signature1", protected, b"", payload])
    check(ec.derive_private_key(12345, ec.SECP256R1()), signature, covered)
