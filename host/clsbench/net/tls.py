"""The one place that builds TLS contexts, and says who stands at the other end.

WAN: brainpoolP256r1 and the four suites of TR-03116-3; HAN: P-256. Both TLS 1.2 with
certificates on both sides. Host names are not checked: a peer is who its certificate's common
name says (`peer_of`), and the caller compares that with whom it expects.
Knows no sockets; `net.listener` does.
"""

import ssl
import tempfile
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from clsbench.errors import BadInput, EnvironmentProblem, PeerRefused
from clsbench.pki import authority
from clsbench.pki.names import TLS, UNREADABLE, Peer, peer_of_certificate, purpose_of

__all__ = [
    "Identity",
    "Peer",
    "TlsCapabilities",
    "han_client",
    "han_server",
    "lmn_client",
    "lmn_server",
    "peer_of",
    "tls_capabilities",
    "wan_client",
    "wan_server",
]

WAN_CURVE = "brainpoolP256r1"
HAN_CURVE = "prime256v1"

# TR-03116-3: 0xC02B and 0xC023 must, 0xC02C and 0xC024 should, nothing else may be offered
SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
)

_OPTIONS = (
    ssl.OP_NO_RENEGOTIATION
    | ssl.OP_NO_COMPRESSION
    | ssl.OP_NO_TICKET
    | ssl.OP_SINGLE_ECDH_USE
    | ssl.OP_CIPHER_SERVER_PREFERENCE
)

# One socket, laid here by net.listener for the next handshake and taken out by it: a failed one
# sends its alert there. A list, because copies of the context must find it taken, too.
alert_socket: ContextVar[list[socket] | None] = ContextVar("alert_socket", default=None)


@dataclass(frozen=True)
class Identity:
    """Paths of a certificate (PEM, own first, then its issuers) and its private key (PEM)."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class TlsCapabilities:
    """What this interpreter's TLS can do.

    openssl: version text; brainpool: a mutual TLS 1.2 handshake on brainpoolP256r1 succeeded;
    cipher: the suite it agreed on, "" if none; set_groups: several curves at once are possible
    (Python 3.15); problem: why brainpool failed, "" if it did not.
    """

    openssl: str
    brainpool: bool
    cipher: str
    set_groups: bool
    problem: str


def wan_server(identity: Identity, trust: Path) -> ssl.SSLContext:
    """Accepting side on the WAN.

    trust: PEM file with sub-CA and root. Raises BadInput when a file is missing or wrong,
    EnvironmentProblem when this Python has no brainpool curve.
    """
    return _context(ssl.PROTOCOL_TLS_SERVER, identity, trust, WAN_CURVE)


def wan_client(identity: Identity, trust: Path) -> ssl.SSLContext:
    """Connecting side on the WAN; trust and errors as `wan_server`."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, identity, trust, WAN_CURVE)


def han_server(identity: Identity, trust: Path) -> ssl.SSLContext:
    """Accepting side in the HAN (the SMGW); trust: PEM file with the HAN CA. Errors as there."""
    return _context(ssl.PROTOCOL_TLS_SERVER, identity, trust, HAN_CURVE)


def han_client(identity: Identity, trust: Path) -> ssl.SSLContext:
    """Connecting side in the HAN (a CLS); trust: PEM file with the HAN CA. Errors as there."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, identity, trust, HAN_CURVE)


def lmn_client(identity: Identity, peer: Path) -> ssl.SSLContext:
    """Connecting side on the wired LMN (the SMGW); peer: the meter's self-signed certificate.

    Only that certificate is trusted. Source: TR-03116-3 (the LMN has the rules of the WAN).
    """
    return _pinning(ssl.PROTOCOL_TLS_CLIENT, identity, peer)


def lmn_server(identity: Identity, peer: Path) -> ssl.SSLContext:
    """Accepting side on the wired LMN (the meter); peer: the gateway's certificate."""
    return _pinning(ssl.PROTOCOL_TLS_SERVER, identity, peer)


def _pinning(protocol: int, identity: Identity, peer: Path) -> ssl.SSLContext:
    context = _context(protocol, identity, peer, WAN_CURVE)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an end certificate is the anchor
    return context


def peer_of(ssl_object: ssl.SSLObject | ssl.SSLSocket | None) -> Peer:
    """The verified party at the other end of a finished handshake.

    ssl_object: `transport.get_extra_info("ssl_object")`. Raises PeerRefused when the connection
    is not TLS, the peer showed no certificate, its CN has no known role, or the certificate was
    made for signing or encrypting and not for TLS.
    """
    der = None if ssl_object is None else ssl_object.getpeercert(binary_form=True)
    if not der:
        raise PeerRefused("no certificate shown")
    try:
        certificate = x509.load_der_x509_certificate(der)
        purpose = purpose_of(certificate)
    except UNREADABLE as error:
        raise PeerRefused(f"certificate unreadable: {error}") from error
    peer = peer_of_certificate(certificate)
    if purpose != TLS:
        raise PeerRefused(f"certificate of {peer.cn} is for {purpose}, not for TLS")
    return peer


def tls_capabilities() -> TlsCapabilities:
    """Tries a real handshake in memory on brainpoolP256r1; never raises for a missing ability."""
    cipher = problem = ""
    with tempfile.TemporaryDirectory(prefix="clsbench-tls-") as folder:
        try:
            cipher = _handshake_in_memory(*_probe_identity(Path(folder)))
        except (ssl.SSLError, EnvironmentProblem) as error:
            problem = str(error)
    has_groups = hasattr(ssl.SSLContext, "set_groups")
    return TlsCapabilities(ssl.OPENSSL_VERSION, not problem, cipher, has_groups, problem)


class _AlertingObject(ssl.SSLObject):
    """Sends the alert of a failed handshake itself.

    asyncio before gh-98078 (2026) drops the alert OpenSSL has prepared, and the other side
    would see a closed connection instead of "certificate expired".
    """

    outgoing: ssl.MemoryBIO
    raw: socket | None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            self._send_alert()
            raise

    def _send_alert(self) -> None:
        if self.raw is None:
            return  # a connection not made by net.listener: leave the alert to its owner
        try:
            self.raw.send(self.outgoing.read())
        except OSError:
            return  # the peer has gone, there is nobody left to tell


class _Context(ssl.SSLContext):
    """SSLContext whose connections tell the peer why a handshake failed."""

    sslobject_class = _AlertingObject

    def wrap_bio(self, incoming, outgoing, server_side=False, server_hostname=None, session=None):
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(made, _AlertingObject)
        made.outgoing = outgoing
        laid = alert_socket.get()
        made.raw = laid.pop() if laid else None
        return made


def _context(protocol: int, identity: Identity, trust: Path, curve: str) -> ssl.SSLContext:
    context = _Context(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.options |= _OPTIONS
    context.set_ciphers(":".join(SUITES))
    _set_curve(context, curve)
    _load(context, identity, trust)
    return context


def _set_curve(context: ssl.SSLContext, curve: str) -> None:
    set_groups = getattr(context, "set_groups", None) or context.set_ecdh_curve
    try:
        set_groups(curve)
    except (ValueError, ssl.SSLError) as error:
        raise EnvironmentProblem(
            f"{ssl.OPENSSL_VERSION} of this Python has no curve {curve} ({error}). "
            "Use a Python linked to a full OpenSSL 3; see: clsbench doctor"
        ) from error


def _load(context: ssl.SSLContext, identity: Identity, trust: Path) -> None:
    for path in (trust, identity.cert, identity.key):
        if not Path(path).is_file():
            raise BadInput(
                f"{path}: no such file. Make a test PKI with: clsbench pki init --out DIR"
            )
    try:
        context.load_verify_locations(cafile=trust)
    except ssl.SSLError as error:
        raise BadInput(
            f"{trust}: not a PEM file of trusted certificates ({error.reason})"
        ) from error
    try:
        # an empty password, so that OpenSSL never asks for one on the terminal
        context.load_cert_chain(identity.cert, identity.key, password="")
    except (ssl.SSLError, OSError) as error:
        raise BadInput(
            f"{identity.cert}, {identity.key}: not a certificate with its unencrypted "
            f"private key ({error})"
        ) from error


def _probe_identity(folder: Path) -> tuple[Identity, Path]:
    span = authority.validity(1)
    ca = authority.new_ca("doctor.CA", authority.WAN_CURVE, span)
    end = authority.new_end("doctor.GWA", TLS, span, ca)
    identity = Identity(folder / "tls.crt.pem", folder / "tls.key.pem")
    trust = folder / "trust.pem"
    trust.write_bytes(ca.certificate.public_bytes(serialization.Encoding.PEM))
    identity.cert.write_bytes(end.certificate.public_bytes(serialization.Encoding.PEM))
    identity.key.write_bytes(
        end.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return identity, trust


def _handshake_in_memory(identity: Identity, trust: Path) -> str:
    """The agreed suite of a handshake between two contexts of ours; raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = wan_server(identity, trust).wrap_bio(to_server, to_client, server_side=True)
    client = wan_client(identity, trust).wrap_bio(to_client, to_server)
    waiting = [client, server]
    for _ in range(10):  # TLS 1.2 needs two round trips
        waiting = [side for side in waiting if not _handshake_step(side)]
        if not waiting:
            agreed = client.cipher()
            return agreed[0] if agreed else ""
    raise ssl.SSLError("the handshake did not end")


def _handshake_step(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
