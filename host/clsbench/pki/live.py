"""A certificate with its key that follows its files: a renewal is taken up by the next use."""

from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clsbench.errors import BadInput
from clsbench.pki import files
from clsbench.pki.names import UNREADABLE


class LivePair:
    """PEM bytes of a certificate file and its key; those of before while the new do not fit."""

    def __init__(self, cert: Path, key: Path):
        self._paths = (cert, key)
        self._stamps: tuple[tuple[int, int], ...] = ()
        self._pair = (b"", b"")
        self.current()
        if not self._pair[0]:
            self._read()  # raises what is wrong

    def current(self) -> tuple[bytes, bytes]:
        """(certificates, key)."""
        try:
            found = [path.stat() for path in self._paths]
            stamps = tuple((each.st_mtime_ns, each.st_ino) for each in found)
            if stamps != self._stamps:
                self._pair = self._read()
                self._stamps = stamps
        except (OSError, BadInput):
            return self._pair
        return self._pair

    def _read(self) -> tuple[bytes, bytes]:
        cert, key = self._paths
        try:
            own, secret = files.read_certificate(cert), files.read_key(key)
            pair = cert.read_bytes(), key.read_bytes()
        except OSError as error:
            raise BadInput(
                f"{error.filename}: {error.strerror}. Make a test PKI: clsbench pki init --out DIR"
            ) from error
        except UNREADABLE as error:
            raise BadInput(f"{cert}, {key}: not a certificate with its key ({error})") from error
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if own.public_key().public_bytes(*form) != secret.public_key().public_bytes(*form):
            raise BadInput(f"{cert}, {key}: the key is of another certificate")
        return pair
