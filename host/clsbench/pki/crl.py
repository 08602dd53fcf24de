"""Revocation lists: made, read, and asked whether a certificate stands on one.

One list for each authority; a file may hold several (PEM, one behind the other). TLS checks
them in the handshake (OpenSSL); `check_revocation` is for signatures. Pure: no files, no clock.
Source: RFC 5280 section 5.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ReasonFlags

from clsbench.errors import BadInput
from clsbench.pki.authority import Issued, Validity, hash_of

DAYS = 31  # a list of the test PKI holds so long
REASONS = {
    "unspecified": ReasonFlags.unspecified,
    "key-compromise": ReasonFlags.key_compromise,
    "ca-compromise": ReasonFlags.ca_compromise,
    "affiliation-changed": ReasonFlags.affiliation_changed,
    "superseded": ReasonFlags.superseded,
    "cessation-of-operation": ReasonFlags.cessation_of_operation,
}

_BEGIN = b"-----BEGIN X509 CRL-----"


@dataclass(frozen=True)
class Revoked:
    """A certificate that no longer counts, from `at` (aware) on; reason: one of REASONS."""

    serial: int
    at: datetime
    reason: str = "unspecified"


class Distrusted(ValueError):
    """A certificate is revoked, or nobody can say whether it is; the text says which."""


def new_list(
    issuer: Issued, revoked: Iterable[Revoked], span: Validity, number: int
) -> x509.CertificateRevocationList:
    """The issuer's list number `number`, in force for `span`."""
    key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(span.start)
        .next_update(span.end)
        .add_extension(key_id, critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for each in revoked:
        entry = x509.RevokedCertificateBuilder()
        entry = entry.serial_number(each.serial).revocation_date(each.at)
        if each.reason != "unspecified":  # RFC 5280 5.3.1: left out rather than said
            entry = entry.add_extension(x509.CRLReason(REASONS[each.reason]), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, hash_of(issuer.key))


def read_lists(pem: bytes) -> list[x509.CertificateRevocationList]:
    """Every list of a PEM file. Raises BadInput when it holds none or a damaged one."""
    parts = pem.split(_BEGIN)[1:]
    try:
        found = [x509.load_pem_x509_crl(_BEGIN + part) for part in parts]
    except ValueError as error:
        raise BadInput(f"revocation lists are not PEM: {error}") from error
    if not found:
        raise BadInput("no revocation list in the file. Issue one with: clsbench pki crl DIR")
    return found


def entries(found: x509.CertificateRevocationList) -> list[Revoked]:
    """What stands on a list."""
    names = {flag: name for name, flag in REASONS.items()}
    return [
        Revoked(each.serial_number, each.revocation_date_utc, names.get(_reason(each), "other"))
        for each in found
    ]


def number_of(found: x509.CertificateRevocationList) -> int:
    """The list's number, 0 when it has none."""
    try:
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def pem_of(lists: Iterable[x509.CertificateRevocationList]) -> bytes:
    """One file of them."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in lists)


def check_revocation(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    lists: Sequence[x509.CertificateRevocationList],
    at: datetime,
) -> None:
    """Raises Distrusted when `certificate` was revoked by `at`, or no list of its issuer, signed
    by it and not yet outdated, can say."""
    name = certificate.subject.rfc4514_string()
    key = issuer.public_key()
    mine = [each for each in lists if each.issuer == certificate.issuer]
    if not mine or not isinstance(key, ec.EllipticCurvePublicKey):
        raise Distrusted(f"no revocation list of the issuer of {name}")
    newest = max(mine, key=number_of)
    if not newest.is_signature_valid(key):
        raise Distrusted(f"revocation list for {name} has a wrong signature")
    if newest.next_update_utc is None or at > newest.next_update_utc:
        raise Distrusted(f"revocation list for {name} had expired at {at:%Y-%m-%dT%H:%M:%SZ}")
    entry = newest.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is not None and entry.revocation_date_utc <= at:
        raise Distrusted(f"{name} was revoked on {entry.revocation_date_utc:%Y-%m-%d}")


def _reason(entry: x509.RevokedCertificate) -> ReasonFlags:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return ReasonFlags.unspecified
