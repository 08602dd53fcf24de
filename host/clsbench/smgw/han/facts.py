"""What the gateway tells about itself in the dialects: certificates, firmware components.

The checksums are made of the version, since an emulator has no image to take them of.
"""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

from clsbench.errors import BadInput

COMPONENTS = ("smgw-bootstream", "smgw-services")


class Facts:
    """Read once. pki: folder of the PKI. Raises BadInput when a certificate is not there."""

    def __init__(self, pki: Path):
        self.version = importlib.metadata.version("clsbench")
        self._tls = _read(pki / "han" / "smgw.crt.pem")
        self._sig = _read(pki / "smgw" / "sig.crt.pem")
        self._sub = _read(pki / "sub.crt.pem")

    def versions(self) -> list[tuple[str, str, str]]:
        """(component, version, checksum)."""
        return [(name, self.version, self._checksum(name)) for name in COMPONENTS]

    def conexa(self) -> dict[str, Any]:
        """`certificates` and `firmware-info` of smgw-info: PEM in hex, all scalars strings."""
        wan = {"cert-index": "0", "sig": self._sig.hex(), "sub-ca": self._sub.hex()}
        return {
            "certificates": {"han": {"tls": self._tls.hex()}, "wan": [wan]},
            "firmware-info": {
                "component": COMPONENTS[-1],
                "hash": self._checksum(COMPONENTS[-1]),
                "version": self.version,
            },
        }

    def _checksum(self, name: str) -> str:
        return hashlib.sha256(f"{name} {self.version}".encode()).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{path}: {error.strerror}. Make a test PKI with: clsbench pki init --out DIR"
        ) from error
