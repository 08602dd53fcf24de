"""Signatures the HAN gives: detached CMS over canonical JSON, CMS around XML, inner signatures.

How a reading's inner signature is formed is not public; here it is ECDSA over the fields joined
by a semicolon, with the key of the HAN certificate, in hex.
Sources: BSI Detailspezifikationen 2.0 chapter 6 (`q.signed`, canonical JSON); RFC 5652.
"""

from asn1crypto import cms
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.errors import BadInput
from clsbench.net.tls import Identity
from clsbench.smgw.recorder import Sign

DETACHED = "CMS_ECDSA_SHA256_Detached"


class Signer:
    """sign(content): DER with the content inside, by the gateway's signature key."""

    def __init__(self, sign: Sign, han: Identity):
        self.enclosed = sign
        try:
            key = serialization.load_pem_private_key(han.key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(f"{han.key}: cannot be read: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BadInput(f"{han.key}: not a key on an elliptic curve")
        self._key = key

    def detached(self, content: bytes) -> bytes:
        """DER SignedData over the content without the content."""
        info = cms.ContentInfo.load(self.enclosed(content))
        info["content"]["encap_content_info"] = {"content_type": "data"}
        return info.dump(force=True)

    def inner(self, *fields: object) -> str:
        """The inner signature of a reading."""
        told = ";".join(str(field) for field in fields).encode()
        return self._key.sign(told, ec.ECDSA(hashes.SHA256())).hex()


def canonical(text: bytes) -> bytes:
    """JSON without CR, LF, TAB and blank between its components; nothing else is changed."""
    kept = bytearray()
    inside = escaped = False
    for byte in text:
        if inside:
            inside = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        elif byte == 0x22:
            inside = True
        elif byte in b"\r\n\t ":
            continue
        kept.append(byte)
    return bytes(kept)
