"""Signed content of the WAN: CMS SignedData by an SMGW, made and checked.

One narrow form: version 3, one signer named by subject key identifier, ecdsa-with-SHA256 on
brainpoolP256r1, content inside (or detached), the signer's certificate inside, signed attributes
contentType, messageDigest and signingTime. Sources: RFC 5652, RFC 5753, BSI TR-03116-3,
Detailspezifikationen 2.0 section 5.3.3.
Whatever that form does not need (further signers or certificates, unsigned attributes, CRLs,
BER in place of DER) is refused: it would be room for changes that no signature covers. A signer
named by issuer and serial number (version 1) is read, too.
Pure: no clock, no files. Trust is a PEM text with sub-CA and root.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.errors import BadInput, ClsbenchError, PeerRefused
from clsbench.pki.chain import ChainError, check_chain, load_trust
from clsbench.pki.names import SIG, UNREADABLE, Peer, peer_of_certificate, purpose_of

MAX_BYTES = 1024 * 1024

DATA = "1.2.840.113549.1.7.1"

_DIGEST = "sha256"
_SIGNATURE = "sha256_ecdsa"
_CURVE = ec.BrainpoolP256R1.name
_SET_TAG = b"\x31"  # signed attributes are hashed as SET OF, not as [0] (RFC 5652 section 5.4)

# what asn1crypto raises on bytes that are not the structure it expects
_MALFORMED = (ValueError, KeyError, IndexError, AttributeError, OverflowError)


class CmsError(ClsbenchError):
    """A signed content is not what its signer made, or its signer is not to be believed."""


class Untrusted(CmsError):
    """The signature may hold, but its signer is not one to be believed at that time."""


@dataclass(frozen=True)
class SignedContent:
    """What a verified signature stands for.

    signer: cn, name, role and fingerprint of its certificate; signing_time: UTC, whole seconds,
    as the signer states it; certificate: the signer's.
    """

    content: bytes
    signer: Peer
    signing_time: datetime
    certificate: x509.Certificate


def sign(
    content: bytes,
    cert_pem: bytes,
    key_pem: bytes,
    signing_time: datetime,
    content_type: str = DATA,
    detached: bool = False,
) -> bytes:
    """DER ContentInfo with SignedData over `content`.

    cert_pem: the signature certificate first, others ignored; key_pem: its PKCS#8 key;
    signing_time: aware, cut to whole seconds; content_type: dotted object identifier of what
    `content` is; detached: the content stays outside. Raises BadInput when certificate or key
    are not a pair on brainpoolP256r1 made for signing.
    """
    certificate, key = _signing_pair(cert_pem, key_pem)
    attributes = _signed_attributes(content, signing_time, content_type)
    signature = key.sign(_SET_TAG + attributes.dump()[1:], ec.ECDSA(hashes.SHA256()))
    key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    signer = cms.SignerInfo(
        {
            "version": "v3",
            "sid": cms.SignerIdentifier({"subject_key_identifier": key_id}),
            "digest_algorithm": algos.DigestAlgorithm({"algorithm": _DIGEST}),
            "signed_attrs": attributes,
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": _SIGNATURE}),
            "signature": signature,
        }
    )
    own = asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))
    enclosed = {} if detached else {"content": core.ParsableOctetString(content)}
    data = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": _DIGEST})],
            "encap_content_info": {"content_type": content_type, **enclosed},
            "certificates": [own],
            "signer_infos": [signer],
        }
    )
    return cms.ContentInfo({"content_type": "signed_data", "content": data}).dump()


def verify(
    der: bytes,
    trust_pem: bytes,
    role: str | None = None,
    content_type: str = DATA,
    detached: bytes | None = None,
) -> SignedContent:
    """The content, once form, digest, signature, certificate, chain and role have been checked.

    trust_pem: PEM with sub-CA and root; role: the role the signer must have ("SMGW"), None for
    any; content_type: what the content must be; detached: the content where it stands outside,
    None where it must stand inside. The certificates must be valid at the signing time. Raises
    CmsError with the reason, BadInput when `trust_pem` holds no certificates.
    """
    trusted = load_trust(trust_pem)
    try:
        return _Reader(der, content_type, detached).verified(trusted, role)
    except CmsError:
        raise
    except ChainError as error:
        raise Untrusted(f"signer is not trusted: {error}") from error
    except (*_MALFORMED, *UNREADABLE) as error:
        raise CmsError(f"not a CMS SignedData of the expected form: {error}") from error
    except PeerRefused as error:
        raise Untrusted(f"signer is not trusted: {error}") from error


def content_type_of(der: bytes) -> str | None:
    """What a SignedData says its content is (dotted), unchecked; None where it is none."""
    try:
        info = cms.ContentInfo.load(der[:MAX_BYTES])
        if info["content_type"].native != "signed_data":
            return None
        return info["content"]["encap_content_info"]["content_type"].dotted
    except (*_MALFORMED, TypeError):
        return None


class _Reader:
    """Takes one SignedData apart, step by step, each step refusing what it must.

    asn1crypto's own types do not tell an absent field from a present one, hence Any.
    """

    def __init__(self, der: bytes, content_type: str, detached: bytes | None):
        self._content_type = content_type
        self._detached = detached
        self._data = _signed_data(der, content_type, detached is not None)
        self._signer: Any = self._data["signer_infos"][0]
        self._certificate = _certificate(self._data)
        self._attributes = _attributes(self._signer)

    def verified(self, trusted: list[x509.Certificate], role: str | None) -> SignedContent:
        self._check_signer_identifier()
        content = self._content()
        self._check_signature()
        signing_time = self._signing_time()
        if purpose_of(self._certificate) != SIG:
            raise CmsError("certificate of the signer is not made for signatures")
        check_chain(self._certificate, trusted, signing_time)
        signer = peer_of_certificate(self._certificate)
        if role is not None and signer.role != role:
            raise Untrusted(f"signed by {signer.cn}, whose role is not {role}")
        return SignedContent(content, signer, signing_time, self._certificate)

    def _content(self) -> bytes:
        content = self._detached
        if content is None:
            content = bytes(self._data["encap_content_info"]["content"])
        digest = hashes.Hash(hashes.SHA256())
        digest.update(content)
        if self._attribute("content_type") != cms.ContentType(self._content_type).native:
            raise CmsError("signed content type is not the content's")
        if self._attribute("message_digest") != digest.finalize():
            raise CmsError("content was altered: its digest is not the signed one")
        return content

    def _check_signer_identifier(self) -> None:
        sid = self._signer["sid"]
        extensions = self._certificate.extensions
        if sid.name == "subject_key_identifier":
            own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
            fits, version = sid.native == own, "v3"
        else:
            named = sid.chosen
            fits = (
                named["serial_number"].native == self._certificate.serial_number
                and named["issuer"].dump() == self._certificate.issuer.public_bytes()
            )
            version = "v1"
        if not fits:
            raise CmsError("the certificate inside is not the signer's")
        if self._signer["version"].native != version or self._data["version"].native != version:
            raise CmsError("version does not fit the signer identifier")

    def _check_signature(self) -> None:
        key = self._certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != _CURVE:
            raise CmsError(f"signer's key is not on {_CURVE}")
        algorithm = self._signer["signature_algorithm"]
        digest = self._signer["digest_algorithm"]["algorithm"].native
        if algorithm["algorithm"].native != _SIGNATURE or digest != _DIGEST:
            raise CmsError("signature is not ecdsa-with-SHA256")
        signed = _SET_TAG + self._signer["signed_attrs"].dump()[1:]
        try:
            key.verify(self._signer["signature"].native, signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise CmsError("signature does not hold: altered, or made by another key") from error

    def _signing_time(self) -> datetime:
        stated = self._attribute("signing_time")
        if not isinstance(stated, datetime) or stated.tzinfo is None:
            raise CmsError("signing time is not UTC")
        return stated.astimezone(UTC)

    def _attribute(self, name: str) -> object:
        try:
            return self._attributes[name]
        except KeyError as error:
            raise CmsError(f"signed attribute {name} is missing") from error


def _signed_data(der: bytes, content_type: str, detached: bool) -> Any:
    if len(der) > MAX_BYTES:
        raise CmsError(f"{len(der)} bytes, more than {MAX_BYTES}")
    info = cms.ContentInfo.load(der, strict=True)
    if info["content_type"].native != "signed_data":
        raise CmsError("content is not SignedData")
    data = info["content"]
    if info.copy().dump(force=True) != der:
        raise CmsError("encoding is not DER")
    stated = data["encap_content_info"]["content_type"].dotted
    if stated != content_type:
        named = "id-data" if content_type == DATA else content_type
        raise CmsError(f"content type is not {named}")
    absent = isinstance(data["encap_content_info"]["content"], core.Void)
    if absent and not detached:
        raise CmsError("content is missing (detached signature)")
    if detached and not absent:
        raise CmsError("content is inside, expected a detached signature")
    if len(data["signer_infos"]) != 1:
        raise CmsError(f"{len(data['signer_infos'])} signers, expected one")
    if [each["algorithm"].native for each in data["digest_algorithms"]] != [_DIGEST]:
        raise CmsError("digest algorithm is not SHA-256 alone")
    if not isinstance(data["crls"], core.Void):
        raise CmsError("carries a CRL, which nothing signs")
    return data


def _certificate(data: Any) -> x509.Certificate:
    inside = data["certificates"]
    if isinstance(inside, core.Void) or len(inside) != 1 or inside[0].name != "certificate":
        raise CmsError("must carry the signer's certificate and no other")
    return x509.load_der_x509_certificate(inside[0].chosen.dump())


def _attributes(signer: Any) -> dict[str, object]:
    """Signed attributes by name; each must stand once, with one value."""
    if not isinstance(signer["unsigned_attrs"], core.Void):
        raise CmsError("carries unsigned attributes")
    if isinstance(signer["signed_attrs"], core.Void):
        raise CmsError("carries no signed attributes")
    found: dict[str, object] = {}
    for attribute in signer["signed_attrs"]:
        name = attribute["type"].native
        if name in found or len(attribute["values"]) != 1:
            raise CmsError(f"signed attribute {name} stands more than once")
        found[name] = attribute["values"][0].native
    return found


def _signed_attributes(
    content: bytes, signing_time: datetime, content_type: str
) -> cms.CMSAttributes:
    if signing_time.tzinfo is None:
        raise BadInput("signing time has no time zone: give an aware datetime")
    digest = hashes.Hash(hashes.SHA256())
    digest.update(content)
    moment = signing_time.astimezone(UTC).replace(microsecond=0)
    kind = "utc_time" if 1950 <= moment.year < 2050 else "generalized_time"
    return cms.CMSAttributes(
        [
            {"type": "content_type", "values": [content_type]},
            {"type": "signing_time", "values": [cms.Time({kind: moment})]},
            {"type": "message_digest", "values": [digest.finalize()]},
        ]
    )


def _signing_pair(
    cert_pem: bytes, key_pem: bytes
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificates(cert_pem)[0]
        key = serialization.load_pem_private_key(key_pem, password=None)
        purpose = purpose_of(certificate)
    except (IndexError, *UNREADABLE) as error:
        raise BadInput(f"signature certificate or key cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != _CURVE:
        raise BadInput(f"signature key is not on {_CURVE}: use the sig.key.pem of the PKI")
    if purpose != SIG or key.public_key() != certificate.public_key():
        raise BadInput("not a signature certificate with its key: use sig.crt.pem and sig.key.pem")
    return certificate, key
