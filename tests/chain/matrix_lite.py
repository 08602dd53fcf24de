"""The other family's side of the matrix: tlslite-ng as client and as server, blocking.

Its own TLS, its own elliptic curves (python-ecdsa); it knows brainpool and both versions.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain
from tlslite.constants import HashAlgorithm, SignatureAlgorithm
from tlslite.errors import BaseTLSException
from tlslite.messages import CertificateRequest, ClientHello, HelloRequest
from tlslite.utils.python_ecdsakey import Python_ECDSAKey

from clsbench.net.tls import Identity

HOST = "127.0.0.1"
TIMEOUT_S = 40
_parsed = CertificateRequest.parse


def _parse_with_rsa(self, parser):
    """tlslite-ng gives up on a request for certificates that names no RSA signature, before it
    looks at its own key. It is shown one; what is hashed and signed are the bytes received."""
    request = _parsed(self, parser)
    if request.version == (3, 3):
        shown = list(request.supported_signature_algs or [])
        request.supported_signature_algs = [*shown, (HashAlgorithm.sha256, SignatureAlgorithm.rsa)]
    return request


CertificateRequest.parse = _parse_with_rsa
NAMES = {"secp256r1": "NIST256p", "secp384r1": "NIST384p"}


def identity(files: Identity) -> tuple[X509CertChain, Python_ECDSAKey]:
    """Certificate chain and key, read from their files."""
    chain = X509CertChain()
    chain.parsePemList(files.cert.read_text())
    key = load_pem_private_key(files.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = key.private_numbers()
    point = numbers.public_numbers
    name = NAMES.get(key.curve.name, key.curve.name.replace("brainpool", "BRAINPOOL"))
    return chain, Python_ECDSAKey(point.x, point.y, name, numbers.private_value)


def settings(
    version=(3, 3), cipher=None, mac=None, group=None, exchange=None, beside=()
) -> HandshakeSettings:
    """What is offered or taken: one version, and one suite and curve where given.

    beside: further curves. In TLS 1.2 a hello names the curves of certificates, too (RFC 8422).
    """
    made = HandshakeSettings()
    # tlslite-ng compresses its certificate in TLS 1.3 without having been asked to
    made.certificate_compression_send = made.certificate_compression_receive = []
    made.minVersion, made.maxVersion = version, version
    made.versions = [version] if version >= (3, 4) else made.versions
    if cipher is not None:
        made.cipherNames = [cipher]
    if mac is not None:
        made.macNames = [mac]
    if exchange is not None:
        made.keyExchangeNames = [exchange]
    if group is not None:
        made.eccCurves = list(dict.fromkeys((group, *beside)))
        made.keyShares, made.defaultCurve = [], group
        made.dhGroups = []
        if version >= (3, 4):
            made.keyShares = [group]
    return made


@contextmanager
def client(
    port: int, server_name: str, files: Identity | None, how: HandshakeSettings
) -> Iterator[TLSConnection]:
    """A connection whose handshake is over. Raises BaseTLSException or OSError."""
    with socket.create_connection((HOST, port), TIMEOUT_S) as sock:
        connection = TLSConnection(sock)
        chain, key = identity(files) if files else (None, None)
        connection.handshakeClientCert(chain, key, settings=how, serverName=server_name)
        yield connection


def refused(port: int, server_name: str, files: Identity | None, how: HandshakeSettings) -> bool:
    """True when the server ends a client's handshake, or the connection right after it."""
    try:
        with client(port, server_name, files, how) as connection:
            return connection.read(1, 1) == b""
    except (BaseTLSException, OSError):
        return True


def renegotiates(port: int, server_name: str, files: Identity, how: HandshakeSettings) -> bool:
    """Sends a second ClientHello in the session; True when the server answers with a hello."""
    with client(port, server_name, files, how) as connection:
        again = ClientHello().create((3, 3), bytearray(32), bytearray(), [0xC02B])
        for _ in connection._sendMsg(again):
            pass
        try:
            return bool(connection.read(1, 1))
        except (BaseTLSException, OSError):
            return False


def serve_one(
    listening: socket.socket,
    files: Identity,
    how: HandshakeSettings,
    hello_request: bool = False,
) -> str:
    """Serves one connection; returns the suite agreed on, or "" when it came to none."""
    listening.settimeout(TIMEOUT_S)
    sock, _ = listening.accept()
    chain, key = identity(files)
    with sock:
        sock.settimeout(TIMEOUT_S)
        connection = TLSConnection(sock)
        try:
            connection.handshakeServer(certChain=chain, privateKey=key, reqCert=True, settings=how)
            agreed = f"{connection.session.cipherSuite:04x} {connection.ecdhCurve}"
            if hello_request:
                for _ in connection._sendMsg(HelloRequest().create()):
                    pass
                connection.read(1, 1)
        except (BaseTLSException, OSError):
            return locals().get("agreed", "")
        return agreed
