"""Makes keys and certificates of the test SM-PKI in memory; knows no files.

WAN: root on brainpoolP512r1, sub-CA on brainpoolP384r1, end users on brainpoolP256r1 with TLS,
encryption and signature certificates. HAN: one CA on P-256, because stock MicroPython has no
brainpool curve. Whoever issues signs with the hash that is as long as its curve.
Everything is marked as a test PKI in its organisation. The certificates pass
X509_V_FLAG_X509_STRICT (RFC 5280 section 4.2), which Python sets by default since 3.13.
Source: TR-03116-3 (state 2025), certificates of the SM-PKI.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clsbench.pki.names import CA, ENC, SIG, TLS

ORGANISATION = "SM-Test-PKI-clsbench"
ROOT_YEARS = 8
SUB_YEARS = 5
END_YEARS = 2
BACKDATED = timedelta(days=1)
LEAST = timedelta(days=30)

ROOT_CURVE = ec.BrainpoolP512R1
SUB_CURVE = ec.BrainpoolP384R1
WAN_CURVE = ec.BrainpoolP256R1  # of end users
HAN_CURVE = ec.SECP256R1

_YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Validity:
    """A span of UTC time, both ends included."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Issued:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def validity(years: int, start: datetime | None = None) -> Validity:
    """For `years` from one day ago, or from one day before `start` if that is earlier; in any
    case until LEAST from now, since TLS goes by the machine's clock."""
    now = datetime.now(UTC).replace(microsecond=0)
    begins = now if start is None else min(now, start.astimezone(UTC).replace(microsecond=0))
    return Validity(begins - BACKDATED, max(begins + years * _YEAR, now + LEAST))


def new_ca(
    cn: str,
    curve: type[ec.EllipticCurve],
    span: Validity,
    issuer: Issued | None = None,
    path_length: int = 0,
) -> Issued:
    """A certification authority; self-signed without `issuer`."""
    key = ec.generate_private_key(curve())
    builder = _builder(cn, key.public_key(), _within(span, issuer), issuer)
    builder = builder.add_extension(x509.BasicConstraints(True, path_length), critical=True)
    builder = builder.add_extension(_key_usage(CA), critical=True)
    signer = key if issuer is None else issuer.key
    return Issued(builder.sign(signer, hash_of(signer)), key)


def new_end(
    cn: str, purpose: str, span: Validity, issuer: Issued, dns_name: str | None = None
) -> Issued:
    """An end user's new key with its certificate."""
    key = ec.generate_private_key(end_curve(issuer))
    made = end_certificate(cn, purpose, key.public_key(), span, issuer, dns_name)
    return Issued(made, key)


def end_certificate(
    cn: str,
    purpose: str,
    key: ec.EllipticCurvePublicKey,
    span: Validity,
    issuer: Issued,
    dns_name: str | None = None,
) -> x509.Certificate:
    """An end user's certificate for a key that is its own. The span is cut to the issuer's."""
    builder = _builder(cn, key, _within(span, issuer), issuer)
    for value, critical in end_extensions(purpose, dns_name):
        builder = builder.add_extension(value, critical)
    return builder.sign(issuer.key, hash_of(issuer.key))


def end_curve(issuer: Issued) -> ec.EllipticCurve:
    """Where keys of an authority's end users lie: on WAN_CURVE in the WAN, however large the
    authority's own curve; in the HAN on its CA's."""
    own = issuer.key.curve
    return WAN_CURVE() if isinstance(own, (ROOT_CURVE, SUB_CURVE)) else own


def hash_of(key: ec.EllipticCurvePrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """What a certificate or list signed by `key` is hashed with."""
    if key.key_size > 384:
        return hashes.SHA512()
    return hashes.SHA384() if key.key_size > 256 else hashes.SHA256()


def end_extensions(
    purpose: str, dns_name: str | None = None
) -> list[tuple[x509.ExtensionType, bool]]:
    """What an end user's certificate says of its use: (extension, critical).

    purpose: TLS, ENC or SIG; only TLS carries an extended key usage (serverAuth, clientAuth)
    and, with `dns_name`, a subject alternative name.
    """
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(False, None), True),
        (_key_usage(purpose), True),
    ]
    if purpose == TLS:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        found.append((x509.ExtendedKeyUsage(usages), False))
        if dns_name is not None:
            found.append((x509.SubjectAlternativeName([x509.DNSName(dns_name)]), False))
    return found


def _within(span: Validity, issuer: Issued | None) -> Validity:
    if issuer is None:
        return span
    certificate = issuer.certificate
    return Validity(
        max(span.start, certificate.not_valid_before_utc),
        min(span.end, certificate.not_valid_after_utc),
    )


def _builder(
    cn: str, key: ec.EllipticCurvePublicKey, span: Validity, issuer: Issued | None
) -> x509.CertificateBuilder:
    subject = name_of(cn)
    own_id = x509.SubjectKeyIdentifier.from_public_key(key)
    signer = key if issuer is None else issuer.key.public_key()
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(span.start)
        .not_valid_after(span.end)
        .add_extension(own_id, critical=False)
        .add_extension(issuer_id, critical=False)
    )


def name_of(cn: str) -> x509.Name:
    """The subject of a party of the test PKI."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, cn),
        ]
    )


def _key_usage(purpose: str) -> x509.KeyUsage:
    """RFC 5480 section 3: an EC key signs or agrees, and never enciphers keys itself."""
    return x509.KeyUsage(
        digital_signature=purpose in (TLS, SIG),
        key_agreement=purpose == ENC,
        key_cert_sign=purpose == CA,
        crl_sign=purpose == CA,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        encipher_only=False,
        decipher_only=False,
    )
