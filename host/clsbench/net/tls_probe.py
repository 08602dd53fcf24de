"""What this machine's TLS can do, tried out by handshakes in memory; for `clsbench doctor`."""

import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.errors import ClsbenchError
from clsbench.net import tls_openssl
from clsbench.net.tls_context import Identity, Material, Plan, build, tls_13_possible
from clsbench.net.tls_policy import (
    HAN_BRAINPOOL,
    HAN_SECP256R1,
    SUITES_12,
    SUITES_13,
    WAN,
    TlsPolicy,
)
from clsbench.pki import authority
from clsbench.pki.names import TLS

_STEPS = 10
_PROBED = (WAN, HAN_BRAINPOOL, HAN_SECP256R1)


@dataclass(frozen=True)
class TlsCapabilities:
    """What this interpreter's TLS can do.

    openssl: version text; brainpool: a mutual TLS 1.2 handshake on brainpoolP256r1 succeeded;
    cipher: the suite it agreed on, "" if none; set_groups: several curves at once are possible;
    problem: why brainpool failed, "" if it did not.
    versions: by policy, the TLS versions it can have. groups: by curve, whether OpenSSL has it
    (those ending in tls13 are of TLS 1.3, RFC 8734). suites: by suite, whether a handshake ended.
    """

    openssl: str
    brainpool: bool
    cipher: str
    set_groups: bool
    problem: str
    versions: dict[str, tuple[str, ...]]
    groups: dict[str, bool]
    suites: dict[str, bool]


def tls_capabilities() -> TlsCapabilities:
    """Tries real handshakes in memory; never raises for a missing ability."""
    cipher = problem = ""
    with tempfile.TemporaryDirectory(prefix="clsbench-tls-") as folder:
        wan = _material(Path(folder), "wan", authority.ROOT_CURVE, authority.SUB_CURVE)
        try:
            cipher = handshake_in_memory(wan, WAN)
        except (ssl.SSLError, ClsbenchError) as error:
            problem = str(error)
        suites = dict(_suites(wan, _material(Path(folder), "han", authority.HAN_CURVE)))
    versions = {
        each.name: ("TLS 1.2", *(("TLS 1.3",) if tls_13_possible(each) else ()))
        for each in _PROBED
    }
    names = (*HAN_BRAINPOOL.groups, *HAN_BRAINPOOL.groups_13)
    groups = {name: tls_openssl.knows_group(name) for name in names}
    several = tls_openssl.can_set_all()
    return TlsCapabilities(
        ssl.OPENSSL_VERSION, not problem, cipher, several, problem, versions, groups, suites
    )


def handshake_in_memory(
    material: Material, policy: TlsPolicy, suite_12: str = "", suites_13: tuple[str, ...] = ()
) -> str:
    """The agreed suite of a handshake between two contexts of ours; raises ssl.SSLError.

    suite_12: the only one the client offers of TLS 1.2; suites_13: those of TLS 1.3.
    """
    policy = policy if suites_13 or not suite_12 else replace(policy, tls_13=False)
    server_context = build(Plan(ssl.PROTOCOL_TLS_SERVER, policy, material))
    client_context = build(Plan(ssl.PROTOCOL_TLS_CLIENT, policy, material))
    if suite_12:
        client_context.set_ciphers(suite_12)
    if suites_13:
        tls_openssl.set_suites_13(client_context, suites_13)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    waiting = [client, server]
    for _ in range(_STEPS):  # two round trips are enough
        waiting = [side for side in waiting if not _step(side)]
        if not waiting:
            agreed = client.cipher()
            return agreed[0] if agreed else ""
    raise ssl.SSLError("the handshake did not end")


def _suites(wan: Material, han: Material) -> Iterator[tuple[str, bool]]:
    for suite in SUITES_12:
        yield suite, _works(wan, WAN, suite, ())
    for suite in SUITES_13:
        yield suite, _works(han, HAN_SECP256R1, "", (suite,))


def _works(material: Material, policy: TlsPolicy, suite_12: str, suites_13: tuple[str, ...]):
    try:
        agreed = handshake_in_memory(material, policy, suite_12, suites_13)
    except (ssl.SSLError, ClsbenchError, tls_openssl.NotPossible):
        return False
    return agreed == (suite_12 or suites_13[0])


def _step(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _material(folder: Path, name: str, *curves: type[ec.EllipticCurve]) -> Material:
    """An end user's, below authorities on `curves`, the root's first."""
    span = authority.validity(1)
    chain: list[authority.Issued] = []
    for depth, curve in enumerate(curves, 1):
        issuer = chain[-1] if chain else None
        chain.append(
            authority.new_ca(f"doctor-{depth}.CA", curve, span, issuer, len(curves) - depth)
        )
    ca = chain[-1]
    end = authority.new_end("doctor.GWA", TLS, span, ca)
    identity = Identity(folder / f"{name}.crt.pem", folder / f"{name}.key.pem")
    trust = folder / f"{name}-trust.pem"
    trust.write_bytes(
        b"".join(each.certificate.public_bytes(serialization.Encoding.PEM) for each in chain)
    )
    identity.cert.write_bytes(end.certificate.public_bytes(serialization.Encoding.PEM))
    identity.key.write_bytes(
        end.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Material(identity, trust)
