"""Whose signature wakes this gateway: the administrator's certificate for signatures.

Read again when its file changes, so that a renewed one counts without a restart; believed only
while it leads to the trusted root. Joins files with `core.wakeup`'s refusals.
"""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.errors import ClsbenchError
from clsbench.pki.chain import ChainError, check_chain, load_trust
from clsbench.pki.names import SIG, UNREADABLE, peer_of_certificate, purpose_of
from clsbench.smgw.core.wakeup import BAD_SIGNER, WakeUpRefused


class WakeUpSigner:
    """certificate: PEM, the first counts; trust: PEM with sub-CA and root; gwa: its name."""

    def __init__(self, certificate: Path, trust: Path, gwa: str):
        self._path = certificate
        self._trust = trust
        self._gwa = gwa
        self._known: tuple[tuple[int, int], x509.Certificate, list[x509.Certificate]] | None = None

    def key(self, now: datetime) -> ec.EllipticCurvePublicKey:
        """The key of the certificate valid now. Raises WakeUpRefused."""
        try:
            certificate, trusted = self._current()
            check_chain(certificate, trusted, now)
        except (ChainError, ClsbenchError, OSError, IndexError, *UNREADABLE) as error:
            text = f"administrator's certificate {self._path.name} does not hold: {error}"
            raise WakeUpRefused(BAD_SIGNER, text) from error
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise WakeUpRefused(BAD_SIGNER, "administrator's key is on no elliptic curve")
        return key

    def _current(self) -> tuple[x509.Certificate, list[x509.Certificate]]:
        written = (self._path.stat().st_mtime_ns, self._trust.stat().st_mtime_ns)
        if self._known is None or self._known[0] != written:
            certificate = x509.load_pem_x509_certificates(self._path.read_bytes())[0]
            peer = peer_of_certificate(certificate)
            if (peer.role, peer.name) != ("GWA", self._gwa) or purpose_of(certificate) != SIG:
                raise ValueError(f"{peer.cn}: not {self._gwa}.GWA for signatures")
            self._known = (written, certificate, load_trust(self._trust.read_bytes()))
        return self._known[1], self._known[2]
