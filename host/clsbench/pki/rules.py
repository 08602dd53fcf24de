"""What a certificate must be to speak TLS in a network: purpose, key, usages, life time.

Validity, signatures and revocation are checked by OpenSSL in the handshake, roles by
`pki.names`. Pure. Source: BSI detail specification 2.0 (HAN: serverAuth and clientAuth, at most
two years; LMN: seven), TR-03116-3 (curves), RFC 5480 section 3 (key usage).
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from clsbench.errors import PeerRefused
from clsbench.pki.names import TLS, cn_of, extension_values, purpose_of

Values = dict[type, Any]  # of a certificate's extensions, by class

_BOTH_ENDS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def check_purpose(certificate: x509.Certificate, values: Values | None = None) -> None:
    """Raises PeerRefused for a certificate made for signing, encrypting or issuing.

    values: its `extension_values`, where the caller has them already.
    """
    purpose = purpose_of(certificate, values)
    if purpose != TLS:
        raise PeerRefused(f"certificate of {cn_of(certificate)} is for {purpose}, not for TLS")


def check_certificate(
    certificate: x509.Certificate,
    key_curves: Collection[str],
    max_days: int,
    network: str,
    values: Values | None = None,
) -> None:
    """Raises PeerRefused naming the rule of `network` that a TLS certificate breaks.

    key_curves: by the names of `cryptography`. max_days: the longest life allowed. values: as
    of `check_purpose`.
    """
    found = extension_values(certificate) if values is None else values
    fault = _fault(certificate, found, key_curves, max_days, network)
    if fault:
        raise PeerRefused(fault.replace("CN", cn_of(certificate), 1))


def _fault(
    certificate: x509.Certificate,
    values: Values,
    key_curves: Collection[str],
    max_days: int,
    network: str,
) -> str:
    key = certificate.public_key()
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else "no curve"
    if curve not in key_curves:
        return f"key of CN lies on {curve}, which the {network} does not allow"
    usage = values.get(x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        return "certificate of CN has no key usage digitalSignature"
    extended = set(values.get(x509.ExtendedKeyUsage, ()))
    if not extended.issuperset(_BOTH_ENDS):
        return "certificate of CN is not for both server and client"
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    if life > timedelta(days=max_days):
        return f"certificate of CN lives {life.days} days, {max_days} are allowed"
    return ""
