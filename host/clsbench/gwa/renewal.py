"""Certificates for a gateway's new keys: its requests judged, certified by the sub-CA, kept.

The GWA stands between gateway and sub-CA; the sub-CA is the test PKI's own and lies in its
folder. Keys of a gateway are never here. Time is the machine's, as in TLS.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.errors import ClsbenchError, PeerRefused
from clsbench.gwa.config import GwaConfig
from clsbench.pki import authority, crl, files
from clsbench.pki.chain import ChainError, check_chain, load_trust
from clsbench.pki.layout import sub_ca
from clsbench.pki.names import ENC, PURPOSES, UNREADABLE, cn_of
from clsbench.pki.requests import certify, read_requests
from clsbench.smgw.core import cms

FRESH = timedelta(hours=1)  # between the gateway's signature and ours


class Renewals:
    """For the gateways of a GWA."""

    def __init__(self, config: GwaConfig):
        self._config = config
        self._pki = config.pki

    def issue(self, smgw_id: str, package: bytes) -> dict[str, bytes]:
        """Certificates by purpose (PEM, own first, then the sub-CA's) for a gateway's requests.

        package: DER SignedData by the gateway's signature key in force over its requests. Raises
        PeerRefused for requests that are not to be certified, BadInput without the sub-CA.
        """
        now = datetime.now(UTC)
        cn = f"{smgw_id}.SMGW"
        try:
            content, signer = self._opened(smgw_id, package, now)
            known = [signer.public_key(), *(each.public_key() for each in self._kept())]
            in_use = [key for key in known if isinstance(key, ec.EllipticCurvePublicKey)]
            requests = read_requests(content, cn, {authority.WAN_CURVE().name}, in_use)
        except (ClsbenchError, ChainError, crl.Distrusted, OSError, *UNREADABLE) as error:
            raise PeerRefused(f"certificate requests of {smgw_id}: {error}") from error
        span = authority.validity(authority.END_YEARS)
        return certify(requests, cn, span, sub_ca(self._pki.dir))

    def keep(self, smgw_id: str, certificates: Mapping[str, bytes]) -> None:
        """What the gateway has taken becomes what this GWA knows of it.

        Where the gateway's own folder is the one that this GWA reads, nothing is left to do.
        """
        for entry in self._config.smgw:
            if entry.id == smgw_id and entry.enc_certificate is not None:
                _write(entry.enc_certificate, certificates[ENC])
        folder = self._pki.dir / "smgw"
        if (folder / "tls.key.pem").exists() or not self._is_of(smgw_id):
            return
        for purpose, pem in certificates.items():
            _write(folder / f"{purpose}.crt.pem", pem)

    def _opened(
        self, smgw_id: str, package: bytes, now: datetime
    ) -> tuple[bytes, x509.Certificate]:
        trust = self._pki.wan_trust.read_bytes()
        signed = cms.verify(package, trust, "SMGW")
        if signed.signer.name != smgw_id:
            raise PeerRefused(f"signed by {signed.signer.cn}")
        if abs(signed.signing_time - now) > FRESH:
            raise PeerRefused(f"signed at {signed.signing_time:%Y-%m-%dT%H:%M:%SZ}, not just now")
        signer, trusted = signed.certificate, load_trust(trust)
        check_chain(signer, trusted, now)
        lists = self._pki.wan_crl
        if lists is not None and (lists.required or lists.path.exists()):
            issuer = next(each for each in trusted if each.subject == signer.issuer)
            crl.check_revocation(signer, issuer, crl.read_lists(lists.path.read_bytes()), now)
        return signed.content, signer

    def _kept(self) -> list[x509.Certificate]:
        paths = [self._pki.dir / "smgw" / f"{purpose}.crt.pem" for purpose in PURPOSES]
        return [files.read_certificate(path) for path in paths if path.is_file()]

    def _is_of(self, smgw_id: str) -> bool:
        known = {cn_of(each).upper() for each in self._kept()}
        return known == {f"{smgw_id}.SMGW"}


def serial_numbers(certificates: Mapping[str, bytes]) -> dict[str, str]:
    """By purpose, in hex; the first certificate of each PEM counts."""
    found = {p: x509.load_pem_x509_certificates(pem)[0] for p, pem in certificates.items()}
    return {purpose: f"{each.serial_number:x}" for purpose, each in found.items()}


def _write(path: Path, pem: bytes) -> None:
    files.write_atomically(path, pem, files.CERTIFICATE_MODE)
