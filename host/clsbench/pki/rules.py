"""What a certificate must be to speak TLS in a network: purpose, key, usages, life time.

Validity, signatures and revocation are checked by OpenSSL in the handshake, roles by
`pki.names`. Pure. Source: BSI detail specification 2.0 (HAN: serverAuth and clientAuth, at most
two years; LMN: seven), TR-03116-3 (curves), RFC 5480 section 3 (key usage).
"""

from collections.abc import Collection
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from clsbench.errors import PeerRefused
from clsbench.pki.names import TLS, cn_of, purpose_of

_BOTH_ENDS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def check_purpose(certificate: x509.Certificate) -> None:
    """Raises PeerRefused for a certificate made for signing, encrypting or issuing."""
    purpose = purpose_of(certificate)
    if purpose != TLS:
        raise PeerRefused(f"certificate of {cn_of(certificate)} is for {purpose}, not for TLS")


def check_certificate(
    certificate: x509.Certificate, key_curves: Collection[str], max_days: int, network: str
) -> None:
    """Raises PeerRefused naming the rule of `network` that a TLS certificate breaks.

    key_curves: by the names of `cryptography`. max_days: the longest life allowed.
    """
    cn, key = cn_of(certificate), certificate.public_key()
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else "no curve"
    if curve not in key_curves:
        raise PeerRefused(f"key of {cn} lies on {curve}, which the {network} does not allow")
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    if not usage.digital_signature:
        raise PeerRefused(f"certificate of {cn} has no key usage digitalSignature")
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if not all(wanted in extended for wanted in _BOTH_ENDS):
        raise PeerRefused(f"certificate of {cn} is not for both server and client")
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    if life > timedelta(days=max_days):
        raise PeerRefused(f"certificate of {cn} lives {life.days} days, {max_days} are allowed")
