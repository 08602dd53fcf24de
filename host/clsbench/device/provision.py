"""Makes the files a DICAMM is provisioned with: settings, certificates, key of the seals.

The record key is made here, kept 0600 on the host and written to the device; it is never shown.
"""

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

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
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
    return path.read_bytes()


def sign_key(key_file: Path) -> bytes:
    """The device's private key for signatures, 32 bytes beside its HMAC key, made on first use.

    Beside it, in PEM and for everybody: the public key (`public_key_file`).
    """
    path = key_file.with_name(key_file.stem + ".sign.key")
    if not path.exists():
        number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(number.to_bytes(KEY_BYTES, "big"))
    secret = path.read_bytes()
    public = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1()).public_key()
    public_key_file(key_file).write_bytes(
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return secret


def public_key_file(key_file: Path) -> Path:
    """Where the public key stands with which the device's signatures are checked."""
    return key_file.with_name(key_file.stem + ".sign.pub.pem")


def device_files(config: DeviceConfig, pki: Pki, key_file: Path) -> list[tuple[str, bytes]]:
    """(path on the device, content) of everything but the firmware itself."""
    settings = {
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
    certificates = pki.cls_files(config.cls_id)
    signing = [("sign.key", sign_key(key_file))] if config.extra.get("sign") else []
    return [
        *signing,
        ("config.json", json.dumps(settings | config.extra).encode()),
        ("records.key", record_key(key_file)),
        ("cls.crt.der", certificates.cert_der.read_bytes()),
        ("cls.key.der", certificates.key_der.read_bytes()),
        ("han-ca.der", pki.han_trust_der.read_bytes()),
    ]
