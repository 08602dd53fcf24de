"""Writes key and certificate files so that a key is never readable by others nor half written."""

import os
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

DIRECTORY_MODE = 0o700
KEY_MODE = 0o600
CERTIFICATE_MODE = 0o644


def make_directory(path: Path) -> None:
    """Makes `path`, which must not exist, for its owner alone, whatever the umask."""
    path.mkdir(mode=DIRECTORY_MODE)
    path.chmod(DIRECTORY_MODE)


def write_atomically(path: Path, data: bytes, mode: int) -> None:
    """Puts `data` at `path` in one step; the file has `mode` from its first byte on."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def write_key(
    path: Path, key: ec.EllipticCurvePrivateKey, encoding: serialization.Encoding
) -> None:
    """PKCS#8 without encryption, for the owner alone."""
    data = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomically(path, data, KEY_MODE)


def write_pem(path: Path, *certificates: x509.Certificate) -> None:
    """The certificates, in this order, in one PEM file."""
    parts = [each.public_bytes(serialization.Encoding.PEM) for each in certificates]
    write_atomically(path, b"".join(parts), CERTIFICATE_MODE)


def write_der(path: Path, certificate: x509.Certificate) -> None:
    """One certificate in DER, as boards read it."""
    write_atomically(path, certificate.public_bytes(serialization.Encoding.DER), CERTIFICATE_MODE)


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file. Raises OSError, ValueError."""
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key of a PEM file. Raises OSError, ValueError."""
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path}: not an elliptic curve key")
    return key
