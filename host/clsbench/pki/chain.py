"""Follows a certificate up to a trusted root, at a given instant (RFC 5280 section 6, cut down).

Written out here because `cryptography`'s own verifier takes no brainpool keys. Knows no revocation
lists: those are `pki.crl`'s. Pure: no files, no clock.
"""

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from clsbench.errors import BadInput
from clsbench.pki.names import UNREADABLE

MAX_AUTHORITIES = 3

_UNDERSTOOD = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage)


class ChainError(ValueError):
    """The certificate leads to no root trusted at that time; the text says where it breaks."""


def load_trust(trust_pem: bytes) -> list[x509.Certificate]:
    """The certificates of a trust file's content. Raises BadInput when it holds none."""
    try:
        return x509.load_pem_x509_certificates(trust_pem)
    except ValueError as error:
        raise BadInput(f"trusted certificates are not PEM: {error}. Use wan-trust.pem") from error


def check_chain(
    certificate: x509.Certificate, trusted: list[x509.Certificate], at: datetime
) -> None:
    """Follows the issuers found in `trusted` (sub-CAs and roots) up to a self-signed one.

    Raises ChainError when a link is missing, not valid at `at` (aware), or not allowed to issue.
    """
    _check_time(certificate, at)
    _check_extensions(certificate)
    subject = certificate
    for below in range(MAX_AUTHORITIES):
        issuer = _issuer_of(subject, trusted)
        _check_time(issuer, at)
        _check_extensions(issuer)
        _check_may_issue(issuer, below)
        if issuer.issuer == issuer.subject:
            return
        subject = issuer
    raise ChainError(f"more than {MAX_AUTHORITIES} authorities above {_name(certificate)}")


def _issuer_of(subject: x509.Certificate, trusted: list[x509.Certificate]) -> x509.Certificate:
    for candidate in trusted:
        try:
            subject.verify_directly_issued_by(candidate)
        except (InvalidSignature, *UNREADABLE):
            continue  # not this one
        return candidate
    raise ChainError(f"unknown CA: no trusted authority issued {_name(subject)}")


def _check_time(certificate: x509.Certificate, at: datetime) -> None:
    if at < certificate.not_valid_before_utc:
        raise ChainError(f"{_name(certificate)} was not yet valid at {at:%Y-%m-%dT%H:%M:%SZ}")
    if at > certificate.not_valid_after_utc:
        raise ChainError(f"{_name(certificate)} had expired at {at:%Y-%m-%dT%H:%M:%SZ}")


def _check_extensions(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and not isinstance(extension.value, _UNDERSTOOD):
            raise ChainError(f"{_name(certificate)}: critical extension {extension.oid} not known")


def _check_may_issue(issuer: x509.Certificate, authorities_below: int) -> None:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise ChainError(f"{_name(issuer)} does not say that it is a CA") from error
    if not constraints.ca or not usage.key_cert_sign:
        raise ChainError(f"{_name(issuer)} is no CA")
    if constraints.path_length is not None and authorities_below > constraints.path_length:
        raise ChainError(f"{_name(issuer)} must not stand {authorities_below} above an end user")


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
