"""Certificates of the wired LMN: each side makes its own, the other side pins it.

Source: BSI Detailspezifikationen 2.0 (self-signed, CN `<device id>.sm` in lower case, about 600
bytes at most, no certification authority, no authority key id), TR-03116-3 (7 years, curve).
"""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clsbench.errors import BadInput
from clsbench.meters.device_id import server_id
from clsbench.net.tls import Identity
from clsbench.pki import files
from clsbench.pki.authority import validity

YEARS = 7


def new_identity(folder: Path, device_id: str) -> Identity:
    """Makes `<device id>.crt.pem` and `.key.pem` in `folder`. Raises BadInput where they are."""
    if not device_id.startswith("E"):
        server_id(device_id)  # raises for whatever is no device id
    cert, key = folder / f"{device_id}.crt.pem", folder / f"{device_id}.key.pem"
    if cert.exists() or key.exists():
        raise BadInput(f"{cert}: is there already; a meter knows its gateway by it")
    folder.mkdir(parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.BrainpoolP256R1())
    files.write_key(key, private, serialization.Encoding.PEM)
    files.write_pem(cert, _self_signed(f"{device_id.lower()}.sm", private))
    return Identity(cert, key)


def _self_signed(cn: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    span = validity(YEARS)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(span.start)
        .not_valid_after(span.end)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
