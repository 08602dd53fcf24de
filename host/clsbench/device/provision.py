"""Makes the files a DICAMM is provisioned with: settings, certificates, key of the seals.

The record key is made here, kept 0600 on the host and written to the device; it is never shown.
"""

import contextlib
import json
import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

from clsbench.errors import BadInput
from clsbench.meters import catalogue
from clsbench.pki.layout import Pki

KEY_BYTES = 32


@dataclass
class DeviceConfig:
    """What distinguishes one DICAMM from another; the rest are defaults of the firmware."""

    device_id: str
    cls_id: str
    meter_id: str
    model: str = "eastron_sdm630"
    gateway_host: str = ""
    gateway_port: int = 0
    gateway_name: str = ""
    extra: dict[str, object] = field(default_factory=dict)


def record_key(path: Path) -> bytes:
    """The device's HMAC key from `path`, made on first use (0600)."""
    if not path.exists():
        _write_secret(path, secrets.token_bytes(KEY_BYTES))
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise BadInput(f"{path}: {len(key)} bytes, a record key has {KEY_BYTES}: restore it")
    return key


def _write_secret(path: Path, content: bytes) -> None:
    """Whole or not at all, whenever this ends; a file that came meanwhile stays. 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()


def sign_key(key_file: Path) -> bytes:
    """The device's private key for signatures, 32 bytes beside its HMAC key, made on first use.

    Beside it, in PEM and for everybody: the public key (`public_key_file`).
    """
    path = key_file.with_name(key_file.stem + ".sign.key")
    if not path.exists():
        number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
        _write_secret(path, number.to_bytes(KEY_BYTES, "big"))
    secret = path.read_bytes()
    public = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1()).public_key()
    public_key_file(key_file).write_bytes(
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return secret


def public_key_file(key_file: Path) -> Path:
    """Where the public key stands with which the device's signatures are checked."""
    return key_file.with_name(key_file.stem + ".sign.pub.pem")


def device_files(config: DeviceConfig, pki: Pki | None, key_file: Path) -> list[tuple[str, bytes]]:
    """(path on the device, content) of everything but the firmware itself. pki: None for a device
    that has no certificate: it has no gateway either."""
    values = {
        "device_id": config.device_id,
        "cls_id": config.cls_id,
        "meter_id": config.meter_id,
        "meter_profile": catalogue.compact(config.model),
        "record_obis": ["1-0:1.8.0"],
        "poll_obis": ["1-0:1.8.0", "1-0:16.7.0"],
        "gateway_host": config.gateway_host,
        "gateway_port": config.gateway_port,
        "gateway_name": config.gateway_name,
    }
    signing = [("sign.key", sign_key(key_file))] if config.extra.get("sign") else []
    return [
        *signing,
        ("config.json", json.dumps(values | config.extra).encode()),
        ("records.key", record_key(key_file)),
        *(certificate_files(pki, config.cls_id) if pki is not None else ()),
    ]


def certificate_files(pki: Pki, cls_id: str) -> list[tuple[str, bytes]]:
    """What a device needs for TLS in the HAN, in DER."""
    certificates = pki.cls_files(cls_id)
    return [
        ("cls.crt.der", certificates.cert_der.read_bytes()),
        ("cls.key.der", certificates.key_der.read_bytes()),
        ("han-ca.der", pki.han_trust_der.read_bytes()),
    ]


def ensure_certificate(pki: Pki, cls_id: str) -> bool:
    """Issues the CLS its certificate where the PKI has none, or half of one that an interrupted
    run left. Returns whether it was issued now."""
    folder = pki.directory / f"cls-{cls_id}"
    if folder.is_dir():
        if _is_whole(pki, cls_id):
            return False
        shutil.rmtree(folder)
    pki.issue_cls(cls_id)
    return True


def _is_whole(pki: Pki, cls_id: str) -> bool:
    try:
        contents = dict(certificate_files(pki, cls_id))
        key = load_der_private_key(contents["cls.key.der"], None)
        certificate = x509.load_der_x509_certificate(contents["cls.crt.der"])
        return key.public_key() == certificate.public_key()
    except (OSError, ValueError):
        return False
