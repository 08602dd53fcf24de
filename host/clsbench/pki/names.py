"""Who a certificate speaks for: role by common name, identifier, and what it was made for.

Pure: knows certificates, neither files nor sockets. A common name is `<name>.<suffix>`, the suffix
read without regard to case. Source: smart metering PKI certificate policy annex A (WAN), BSI
detail specification 2.0 (HAN: `<id>.smgw`, `<id>.cls`).
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clsbench.errors import BadInput, PeerRefused

ROLES = ("GWA", "SMGW", "EMT", "CLS")
DEVICE_ROLES = ("SMGW", "CLS")

TLS = "tls"
ENC = "enc"
SIG = "sig"
CA = "ca"
PURPOSES = (TLS, ENC, SIG)

# what `cryptography` raises while it reads a certificate that is damaged or strange
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)

_DEVICE_ID = re.compile(r"[0-9A-F][A-Z]{3}[0-9]{10}")
_PARTY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")
_TLS_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True)
class Peer:
    """The party a certificate names.

    cn: common name as written; name: what stands before the suffix, for devices (SMGW, CLS) in
    upper case as their identifiers are printed; role: one of ROLES; fingerprint: SHA-256 over
    the DER certificate, lower-case hex.
    """

    cn: str
    name: str
    role: str
    fingerprint: str


def split_cn(cn: str) -> tuple[str, str]:
    """(name, role) of a common name; raises PeerRefused when it carries none of ROLES."""
    name, _, suffix = cn.rpartition(".")
    role = suffix.upper()
    if not name or role not in ROLES:
        raise PeerRefused(
            f"certificate CN '{cn}' names no role (expected <name>.{'|'.join(ROLES)})"
        )
    return (name.upper() if role in DEVICE_ROLES else name), role


def cn_of(certificate: x509.Certificate) -> str:
    """The one common name of the subject; raises PeerRefused when there is none or several."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(found) != 1 or not isinstance(found[0].value, str):
        raise PeerRefused(f"certificate subject has {len(found)} common names, expected one")
    return found[0].value


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 over the DER certificate, lower-case hex."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def peer_of_certificate(certificate: x509.Certificate) -> Peer:
    """The party `certificate` names; raises PeerRefused when its CN has no known role."""
    return peer_called(cn_of(certificate), fingerprint(certificate))


def peer_called(cn: str, fingerprint: str) -> Peer:
    """The party of this common name; raises PeerRefused when it has no known role."""
    name, role = split_cn(cn)
    return Peer(cn, name, role, fingerprint)


def purpose_of(certificate: x509.Certificate, values: dict[type, Any] | None = None) -> str:
    """TLS, ENC, SIG or CA, by basicConstraints, extended key usage and key usage.

    values: its `extension_values`, where the caller has them already. TLS carries serverAuth or
    clientAuth; SIG digitalSignature alone; ENC keyAgreement.
    Raises ValueError where the extensions fit none of them, or another of UNREADABLE.
    """
    values = extension_values(certificate) if values is None else values
    constraints = values.get(x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        return CA
    if not _TLS_USAGES.isdisjoint(values.get(x509.ExtendedKeyUsage, ())):
        return TLS
    usage = values.get(x509.KeyUsage)
    if usage is None:
        raise ValueError("certificate has no key usage")
    if usage.digital_signature and not usage.key_agreement:
        return SIG
    if usage.key_agreement and not usage.digital_signature:
        return ENC
    raise ValueError(f"certificate {certificate.subject.rfc4514_string()}: no known purpose")


def extension_values(certificate: x509.Certificate) -> dict[type, Any]:
    """Every extension's value by its class, in one pass: each look by class is one of its own.

    Raises one of UNREADABLE.
    """
    return {type(each.value): each.value for each in certificate.extensions}


def check_device_id(device_id: str) -> str:
    """`device_id` when it is the 14-character print form of DIN 43863-5, else BadInput."""
    if not _DEVICE_ID.fullmatch(device_id):
        raise BadInput(
            f"device id '{device_id}': expected 14 characters as printed on the device "
            "(DIN 43863-5), for example ETST0010000001"
        )
    return device_id


def check_party_name(name: str) -> str:
    """`name` when it can stand in a common name and a folder name, else BadInput."""
    if not _PARTY_NAME.fullmatch(name):
        raise BadInput(f"name '{name}': use letters, digits and hyphens, at most 40, no dot")
    return name
