"""Signatures of signers who sign again and again, and whether their certificates are revoked.

What `cms.verify` has found out about a certificate once (its form, its purpose, its way to the
root) is kept; of a further message in exactly the form that `cms.sign` makes, only what is the
message's own is looked at: digest, signature, signing time. Every other message, and every one
that fails, goes through `cms.verify`, which knows the reasons. Pure: no clock, no files.
Sources: as `cms`; RFC 5280 section 5 for revocation.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.pki.chain import load_trust
from clsbench.pki.crl import Distrusted, check_revocation
from clsbench.pki.names import UNREADABLE, Peer
from clsbench.smgw.core import cms_der as der
from clsbench.smgw.core.cms import DATA, MAX_BYTES, SignedContent, Untrusted, verify

MAX_SIGNERS = 64  # certificates kept; the one not seen for longest gives way

Lists = Callable[[], Sequence[x509.CertificateRevocationList] | None]

_PKCS9 = "1.2.840.113549.1.9."
_DIGEST = der.tlv(der.SEQUENCE, der.oid("2.16.840.1.101.3.4.2.1"), der.tlv(der.NULL))
_SIGNATURE = der.tlv(der.SEQUENCE, der.oid("1.2.840.10045.4.3.2"))
_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_CONTENT_TYPE = der.tlv(der.SEQUENCE, der.oid(_PKCS9 + "3"), der.tlv(der.SET, der.oid(DATA)))
_UTC_TIME = 0x17
_INSTANT = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")
_ECDSA = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class _Message:
    content: bytes
    certificate: bytes
    key_id: bytes
    signed: bytes
    signing_time: datetime
    signature: bytes


@dataclass(slots=True)
class _Signer:
    """A certificate that `cms.verify` has accepted.

    since, until: none of the certificates up to the root begins or ends in between. lists,
    clean_until: by these revocation lists it is not revoked up to then.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePublicKey
    key_id: bytes
    peer: Peer
    since: datetime
    until: datetime
    lists: object = None
    clean_until: datetime | None = None


class Verifier:
    """Verifies SignedData around `content` as `cms.verify` does.

    lists(): the revocation lists of all authorities as they are now, None: revocation is not
    looked at. A signature counts when its certificate was not revoked by its signing time.
    """

    def __init__(self, trust_pem: bytes, role: str | None = None, lists: Lists = lambda: None):
        self._trust_pem = trust_pem
        self._role = role
        self._lists = lists
        self._signers: OrderedDict[bytes, _Signer] = OrderedDict()

    def verify(self, message: bytes) -> SignedContent:
        """The content. Raises CmsError, of which Untrusted where the signer is not to be
        believed, and BadInput when the trusted certificates are none."""
        parts = _parts(message)
        signer = self._signers.get(parts.certificate) if parts is not None else None
        if parts is None or signer is None or not _holds(parts, signer):
            signed = verify(message, self._trust_pem, self._role)
            signer = self._kept(signed)
        else:
            self._signers.move_to_end(parts.certificate)
            signed = SignedContent(
                parts.content, signer.peer, parts.signing_time, signer.certificate
            )
        self._check_revocation(signer, signed.signing_time)
        return signed

    def _kept(self, signed: SignedContent) -> _Signer:
        certificate, at = signed.certificate, signed.signing_time
        found = (certificate, *load_trust(self._trust_pem))
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        signer = _Signer(
            certificate,
            key,
            key_id.value.digest,
            signed.signer,
            max(each.not_valid_before_utc for each in found if each.not_valid_before_utc <= at),
            min(each.not_valid_after_utc for each in found if each.not_valid_after_utc >= at),
        )
        self._signers[certificate.public_bytes(serialization.Encoding.DER)] = signer
        while len(self._signers) > MAX_SIGNERS:
            self._signers.popitem(last=False)
        return signer

    def _check_revocation(self, signer: _Signer, at: datetime) -> None:
        lists = self._lists()
        if lists is None:
            return
        if signer.lists is not lists:
            signer.lists, signer.clean_until = lists, None
        if signer.clean_until is not None and at <= signer.clean_until:
            return
        try:
            self._check_authorities(signer.certificate, lists, at)
            signer.clean_until = at
        except Distrusted as error:
            raise Untrusted(f"signer is not trusted: {error}") from error
        later = min(each.next_update_utc for each in lists if each.next_update_utc is not None)
        try:
            self._check_authorities(signer.certificate, lists, later)
        except Distrusted:
            return  # revoked later than at: every signing time is looked at
        signer.clean_until = max(at, later)

    def _check_authorities(
        self,
        certificate: x509.Certificate,
        lists: Sequence[x509.CertificateRevocationList],
        at: datetime,
    ) -> None:
        """The certificate and those above it, the root left out: nobody revokes that."""
        trusted = load_trust(self._trust_pem)
        subject = certificate
        while subject.issuer != subject.subject:
            issuer = next(each for each in trusted if _issued(subject, each))
            check_revocation(subject, issuer, lists, at)
            subject = issuer


def _issued(subject: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _holds(parts: _Message, signer: _Signer) -> bool:
    if parts.key_id != signer.key_id or not signer.since <= parts.signing_time <= signer.until:
        return False
    try:
        signer.key.verify(parts.signature, parts.signed, _ECDSA)
    except InvalidSignature:
        return False
    return True


def _parts(message: bytes) -> _Message | None:
    """The parts of a message of exactly the form that `cms.sign` makes, its digest checked."""
    if len(message) > MAX_BYTES:
        return None
    try:
        return _read(message)
    except der.DerError:
        return None


def _read(message: bytes) -> _Message:
    data = _only(_only(der.Reader(message), der.SEQUENCE, _SIGNED_DATA), der.context(0))
    data = _only(data, der.SEQUENCE)
    data.expect(der.integer(3), "version")
    data.expect(der.tlv(der.SET, _DIGEST), "digest algorithms")
    enclosed = data.inside(der.SEQUENCE, "content")
    enclosed.expect(der.oid(DATA), "content type")
    wrapped = _only(enclosed, der.context(0))
    content = wrapped.value(der.OCTET_STRING, "content")
    wrapped.end("content")
    certificates = data.inside(der.context(0), "certificates")
    certificate = certificates.element(der.SEQUENCE, "certificate")
    certificates.end("certificates")
    signer = _only(_only(data, der.SET), der.SEQUENCE)
    signer.expect(der.integer(3), "version")
    key_id = signer.value(der.context(0, constructed=False), "signer")
    signer.expect(_DIGEST, "digest algorithm")
    attributes = signer.value(der.context(0), "attributes")
    signer.expect(_SIGNATURE, "signature algorithm")
    signature = signer.value(der.OCTET_STRING, "signature")
    signer.end("signer")
    signed = der.tlv(der.SET, attributes)
    return _Message(
        content, certificate, key_id, signed, _signing_time(attributes, content), signature
    )


def _only(reader: der.Reader, tag: int, first: bytes = b"") -> der.Reader:
    """What is inside the last element; `first` must stand in it first."""
    inside = reader.inside(tag, "element")
    reader.end("element")
    inside.expect(first, "first element")
    return inside


def _signing_time(attributes: bytes, content: bytes) -> datetime:
    """The signing time; content type and digest, which stand beside it, must be the content's."""
    reader = der.Reader(attributes)
    reader.expect(_CONTENT_TYPE, "content type")
    attribute = reader.inside(der.SEQUENCE, "signing time")
    attribute.expect(der.oid(_PKCS9 + "5"), "signing time")
    values = _only(attribute, der.SET)
    instant = _INSTANT.fullmatch(values.value(_UTC_TIME, "signing time"))
    values.end("signing time")
    digest = der.tlv(der.OCTET_STRING, hashlib.sha256(content).digest())
    wanted = der.tlv(der.SEQUENCE, der.oid(_PKCS9 + "4"), der.tlv(der.SET, digest))
    reader.expect(wanted, "digest")
    reader.end("attributes")
    if instant is None:
        raise der.DerError("signing time: not of the usual form")
    year, *rest = (int(part) for part in instant.groups())
    try:
        return datetime(year + (1900 if year >= 50 else 2000), *rest, tzinfo=UTC)
    except ValueError as error:
        raise der.DerError(f"signing time: {error}") from error
