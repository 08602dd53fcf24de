"""The key that a message is locked with: ECKA-EG, ephemeral to static, and AES key wrap.

Knows keys and octets, no message. A fresh ephemeral key for every message.
Sources: TR-03111 section 4.3.2.2 (ECKA-EG) and 4.3.3 (X9.63 key derivation), RFC 5753 section
7.2 (what goes into the derivation), RFC 3394 (key wrap), TR-03116-3 chapter 8 (curve, hash).
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.x509 import load_pem_x509_certificates

from clsbench.errors import BadInput
from clsbench.pki.names import ENC, UNREADABLE, purpose_of
from clsbench.smgw.core import cms_der as der

CURVE = ec.BrainpoolP256R1
POINT_BYTES = 65  # 04, x, y
AES128_WRAP = "2.16.840.1.101.3.4.1.5"
WRAP_ALGORITHM = der.tlv(der.SEQUENCE, der.oid(AES128_WRAP))  # parameters absent (RFC 3565)

_KEK_BYTES = 16


class KeyProblem(ValueError):
    """A key cannot be agreed upon or unwrapped; the text says which."""


@dataclass(frozen=True)
class Recipient:
    """Whom a message is for. key_id: subject key identifier of the encryption certificate."""

    key_id: bytes
    public_key: ec.EllipticCurvePublicKey

    @classmethod
    def of(cls, cert_pem: bytes) -> "Recipient":
        """From the certificate (PEM, the first counts). Raises BadInput where it is none for
        encryption on brainpoolP256r1."""
        try:
            certificate = load_pem_x509_certificates(cert_pem)[0]
            purpose, key = purpose_of(certificate), certificate.public_key()
            key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except (IndexError, *UNREADABLE) as error:
            raise BadInput(f"encryption certificate cannot be read: {error}") from error
        wrong = f"not an encryption certificate on {CURVE.name}: use enc.crt.pem of the PKI"
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != CURVE.name:
            raise BadInput(wrong)
        if purpose != ENC:
            raise BadInput(wrong)
        return cls(key_id.value.digest, key)


@dataclass(frozen=True)
class OwnKey:
    """What a message to us is opened with. key_id: as in `Recipient`."""

    key_id: bytes
    private_key: ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, cert_pem: bytes, key_pem: bytes) -> "OwnKey":
        """From certificate and PKCS#8 key. Raises BadInput when they are no pair for it."""
        recipient = Recipient.of(cert_pem)
        try:
            key = serialization.load_pem_private_key(key_pem, password=None)
        except UNREADABLE as error:
            raise BadInput(f"encryption key cannot be read: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BadInput("encryption key is not on an elliptic curve: use enc.key.pem")
        if key.public_key() != recipient.public_key:
            raise BadInput("encryption key does not belong to its certificate")
        return cls(recipient.key_id, key)


def lock(content_key: bytes, recipient: Recipient) -> tuple[bytes, bytes]:
    """(ephemeral public point, wrapped key): `content_key` for the recipient alone."""
    ephemeral = ec.generate_private_key(CURVE())
    shared = ephemeral.exchange(ec.ECDH(), recipient.public_key)
    point = ephemeral.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return point, aes_key_wrap(_derive(shared), content_key)


def unlock(point: bytes, wrapped: bytes, own: OwnKey) -> bytes:
    """The content key. Raises KeyProblem."""
    try:
        ephemeral = ec.EllipticCurvePublicKey.from_encoded_point(CURVE(), point)
        shared = own.private_key.exchange(ec.ECDH(), ephemeral)
        return aes_key_unwrap(_derive(shared), wrapped)
    except (ValueError, InvalidUnwrap) as error:
        raise KeyProblem("key does not open: altered, or made for another key") from error


def _derive(shared: bytes) -> bytes:
    """The key-encryption key; shared info is ECC-CMS-SharedInfo without party information."""
    bits = der.tlv(der.OCTET_STRING, (_KEK_BYTES * 8).to_bytes(4, "big"))
    info = der.tlv(der.SEQUENCE, WRAP_ALGORITHM, der.tlv(der.context(2), bits))
    return X963KDF(hashes.SHA256(), _KEK_BYTES, info).derive(shared)
