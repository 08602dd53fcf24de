"""The gateway's triplet renewed by itself: keys made here, requests for them, certificates taken.

The keys never leave the gateway; until the certificates are there they are in memory alone, so
that a restart forgets them and the triplet in force stays. Time is the machine's, as in TLS.
Source: SM-PKI policy (requests signed by their own keys, the package by the signature key in
force); how they are packed is this project's own: PEM inside a CMS SignedData.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from clsbench.errors import BadInput, ClsbenchError, PeerRefused
from clsbench.net.tls_policy import WAN
from clsbench.pki import authority, files, staging
from clsbench.pki.chain import ChainError, check_chain, load_trust
from clsbench.pki.live import LivePair
from clsbench.pki.names import PURPOSES, TLS, UNREADABLE, cn_of, purpose_of
from clsbench.pki.requests import new_requests
from clsbench.pki.rules import check_certificate
from clsbench.smgw.core import cms


class NothingAsked(ClsbenchError):
    """Certificates came for which no request is open."""


@dataclass(frozen=True)
class Taken:
    """A certificate in force since now: its file's name, and serial numbers before and now."""

    file: str
    cn: str
    before: int
    now: int


class CertificateRenewal:
    """folder: the gateway's in the PKI (tls, enc, sig); trust: PEM with sub-CA and root."""

    def __init__(self, folder: Path, trust: Path, smgw_id: str):
        self._folder = folder
        self._trust = trust
        self._cn = f"{smgw_id}.SMGW"
        self._signature = LivePair(folder / "sig.crt.pem", folder / "sig.key.pem")
        self._keys: dict[str, ec.EllipticCurvePrivateKey] | None = None
        self._one_at_a_time = threading.Lock()

    def requests(self, now: datetime) -> bytes:
        """Requests for three new keys, signed by the signature key in force (DER SignedData).

        Those asked for before are forgotten.
        """
        keys = {purpose: ec.generate_private_key(authority.WAN_CURVE()) for purpose in PURPOSES}
        package = cms.sign(new_requests(self._cn, keys), *self._signature.current(), now)
        with self._one_at_a_time:
            self._keys = keys
        return package

    def take(self, certificates: Mapping[str, str], now: datetime) -> list[Taken]:
        """Puts keys and certificates (PEM by purpose) in force, all three or none.

        Raises BadInput where one does not fit its key, its name, its purpose, or leads to no
        trusted root now; NothingAsked without open requests.
        """
        with self._one_at_a_time:
            if self._keys is None:
                raise NothingAsked("no requests are open: ask for them anew")
            if set(certificates) != set(PURPOSES):
                raise BadInput(f"certificates: expected {', '.join(PURPOSES)}, all three")
            trusted = load_trust(self._trust.read_bytes())
            new = {
                purpose: self._judged(purpose, certificates[purpose], trusted, now)
                for purpose in PURPOSES
            }
            old = {p: files.read_certificate(self._folder / f"{p}.crt.pem") for p in PURPOSES}
            self._put(self._keys, new, trusted)
            self._keys = None
        return [
            Taken(f"{p}.crt.pem", self._cn, old[p].serial_number, new[p].serial_number)
            for p in PURPOSES
        ]

    def _judged(
        self, purpose: str, pem: str, trusted: list[x509.Certificate], now: datetime
    ) -> x509.Certificate:
        assert self._keys is not None
        try:
            found = x509.load_pem_x509_certificates(pem.encode("ascii"))[0]
            if found.public_key() != self._keys[purpose].public_key():
                raise BadInput(f"certificate for {purpose}: not for the key that was requested")
            if cn_of(found) != self._cn or found.subject != authority.name_of(self._cn):
                raise BadInput(f"certificate for {purpose}: of {cn_of(found)}, not of {self._cn}")
            if purpose_of(found) != purpose:
                raise BadInput(f"certificate for {purpose}: made for {purpose_of(found)}")
            check_chain(found, trusted, now)
            if purpose == TLS:
                check_certificate(found, WAN.key_curves, WAN.max_days, WAN.name)
        except (ChainError, PeerRefused, *UNREADABLE) as error:
            raise BadInput(f"certificate for {purpose}: {error}") from error
        return found

    def _put(
        self,
        keys: Mapping[str, ec.EllipticCurvePrivateKey],
        new: Mapping[str, x509.Certificate],
        trusted: list[x509.Certificate],
    ) -> None:
        with staging.renewal(self._folder) as staged:
            for purpose, certificate in new.items():
                issuers = [each for each in trusted if each.subject == certificate.issuer]
                files.write_key(staged / f"{purpose}.key.pem", keys[purpose], Encoding.PEM)
                files.write_pem(staged / f"{purpose}.crt.pem", certificate, *issuers[:1])
