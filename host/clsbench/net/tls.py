"""The one place that builds TLS contexts, and says who stands at the other end.

Networks differ by their policy (`net.tls_policy`): WAN, HAN in two profiles, LMN; certificates
on both sides in all of them. Host names are not checked: a peer is who its certificate's common
name says (`peer_of`), and the caller compares that with whom it expects.
Knows no sockets; `net.listener` does.
"""

import hashlib
import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

from cryptography import x509

from clsbench.errors import PeerRefused
from clsbench.net.tls_context import (
    Crl,
    Identity,
    Material,
    Plan,
    PolicyContext,
    alert_socket,
    build,
)
from clsbench.net.tls_policy import HAN_SECP256R1, LMN, WAN, TlsPolicy
from clsbench.net.tls_session import PolicySession
from clsbench.pki.kinds import Kind, kind_of
from clsbench.pki.names import UNREADABLE, Peer, cn_of, extension_values, peer_called
from clsbench.pki.rules import check_certificate, check_purpose

__all__ = [
    "Crl",
    "Identity",
    "Peer",
    "PolicyContext",
    "Shown",
    "alert_socket",
    "certificate_of",
    "han_client",
    "han_server",
    "lmn_client",
    "lmn_server",
    "peer_of",
    "shown_by",
    "wan_client",
    "wan_server",
]


@dataclass(frozen=True, slots=True)
class Shown:
    """What names the holder of a certificate. fingerprint: SHA-256 over DER, lower-case hex."""

    cn: str
    fingerprint: str


def wan_server(
    identity: Identity, trust: Path, crl: Crl | None = None, server_name: str = ""
) -> PolicyContext:
    """Accepting side on the WAN.

    trust: PEM file with sub-CA and root. server_name: what clients must state, "" for anything.
    Raises BadInput when a file is missing or wrong, EnvironmentProblem when this Python has no
    brainpool curve.
    """
    material = Material(identity, trust, crl)
    return build(Plan(ssl.PROTOCOL_TLS_SERVER, WAN, material, server_name))


def wan_client(identity: Identity, trust: Path, crl: Crl | None = None) -> PolicyContext:
    """Connecting side on the WAN; trust and errors as `wan_server`."""
    return build(Plan(ssl.PROTOCOL_TLS_CLIENT, WAN, Material(identity, trust, crl)))


def han_server(
    identity: Identity,
    trust: Path,
    crl: Crl | None = None,
    server_name: str = "",
    policy: TlsPolicy = HAN_SECP256R1,
    groups: tuple[str, ...] = (),
    guests: bool = False,
) -> PolicyContext:
    """Accepting side in the HAN (the SMGW); trust: PEM file with the HAN CA.

    policy: one of HAN_PROFILES. groups: curves of the key agreement, () for those of the policy.
    guests: a certificate is asked for, not insisted on. Errors as `wan_server`.
    """
    material = Material(identity, trust, crl)
    return build(Plan(ssl.PROTOCOL_TLS_SERVER, policy, material, server_name, groups, guests))


def han_client(
    identity: Identity,
    trust: Path,
    crl: Crl | None = None,
    policy: TlsPolicy = HAN_SECP256R1,
) -> PolicyContext:
    """Connecting side in the HAN (a CLS); trust: PEM file with the HAN CA. Errors as there."""
    return build(Plan(ssl.PROTOCOL_TLS_CLIENT, policy, Material(identity, trust, crl)))


def lmn_client(identity: Identity, peer: Path) -> PolicyContext:
    """Connecting side on the wired LMN (the SMGW); peer: the meter's self-signed certificate.

    Only that certificate is trusted. Source: TR-03116-3 (the LMN has the rules of the WAN).
    """
    plan = Plan(ssl.PROTOCOL_TLS_CLIENT, LMN, Material(identity, peer), partial_chain=True)
    return build(plan)


def lmn_server(identity: Identity, peer: Path) -> PolicyContext:
    """Accepting side on the wired LMN (the meter); peer: the gateway's certificate."""
    plan = Plan(ssl.PROTOCOL_TLS_SERVER, LMN, Material(identity, peer), partial_chain=True)
    return build(plan)


def certificate_of(ssl_object: ssl.SSLObject | ssl.SSLSocket | None) -> x509.Certificate | None:
    """The verified certificate at the other end of a finished handshake, None when none was shown.

    ssl_object: `transport.get_extra_info("ssl_object")`. Raises PeerRefused when it cannot be
    read or breaks the rules of the network (curve of the key, key usage, life time).
    """
    der = None if ssl_object is None else ssl_object.getpeercert(binary_form=True)
    if not der:
        return None
    try:
        certificate = x509.load_der_x509_certificate(der)
        values = extension_values(certificate)
        check_purpose(certificate, values)
        if isinstance(ssl_object, PolicySession):
            own = ssl_object.rules.policy
            check_certificate(certificate, own.key_curves, own.max_days, own.name, values)
    except UNREADABLE as error:
        raise PeerRefused(f"certificate unreadable: {error}") from error
    return certificate


def shown_by(ssl_object: ssl.SSLObject | ssl.SSLSocket | None) -> Shown | None:
    """Common name and fingerprint of `certificate_of`, which tells what is raised; PeerRefused
    for a name that is missing or not the only one, too.

    Of certificates of a kind the rules are asked once (`pki.kinds`), but for their life time.
    """
    der = None if ssl_object is None else ssl_object.getpeercert(binary_form=True)
    if not der:
        return None
    kind = kind_of(der) if isinstance(ssl_object, PolicySession) else None
    if kind is None or not _of_known_kind(der, kind, cast(PolicySession, ssl_object)):
        certificate = certificate_of(ssl_object)
        assert certificate is not None
        cn = cn_of(certificate)
        if kind is not None:
            cast(PolicySession, ssl_object).remember_kind(kind.key)
    else:
        cn = kind.cn
    return Shown(cn, hashlib.sha256(der).hexdigest())


def _of_known_kind(der: bytes, kind: Kind, session: PolicySession) -> bool:
    if kind.key not in session.kinds:
        return False
    try:
        certificate = x509.load_der_x509_certificate(der)
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    except UNREADABLE:
        return False
    return life <= timedelta(days=session.rules.policy.max_days)


def peer_of(ssl_object: ssl.SSLObject | ssl.SSLSocket | None) -> Peer:
    """The verified party at the other end of a finished handshake.

    Raises PeerRefused when the connection is not TLS, the peer showed no certificate, its CN has
    no known role, or the certificate is not one for TLS by the rules of `certificate_of`.
    """
    shown = shown_by(ssl_object)
    if shown is None:
        raise PeerRefused("no certificate shown")
    return peer_called(shown.cn, shown.fingerprint)
