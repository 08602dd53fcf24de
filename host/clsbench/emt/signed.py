"""Whom the aEMT believes: what an SMGW of the WAN PKI signed, in envelopes or not.

Joins the CMS reader, revocation lists and the opener of envelopes with the files of the PKI; knows
nothing of the content.
"""

from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from clsbench.content_party import ContentParty
from clsbench.errors import BadInput, PeerRefused
from clsbench.net.tls_context import Crl
from clsbench.pki.crl import read_lists
from clsbench.roleconfig import PkiDir
from clsbench.smgw.core.cms_signers import Verifier
from clsbench.smgw.core.content import is_enveloped

# (media type, body, name of the SMGW that sent it) -> the body that counts
OpenBody = Callable[[str, bytes, str], bytes]


def cms_verifier(pki: PkiDir) -> Callable[[bytes], tuple[bytes, str]]:
    """A function from DER to (signed content, signer's smgw_id); it raises cms.CmsError.

    Revocation lists count as `[pki] crl` says, as they are at the time of the call. Raises
    BadInput where trust or a required list cannot be read.
    """
    try:
        trust = pki.wan_trust.read_bytes()
    except OSError as error:
        raise BadInput(f"{pki.wan_trust}: cannot be read: {error.strerror}") from error
    lists = (lambda: None) if pki.wan_crl is None else LiveLists(pki.wan_crl).current
    verifier = Verifier(trust, "SMGW", lists)

    def verify(der: bytes) -> tuple[bytes, str]:
        signed = verifier.verify(der)
        return signed.content, signed.signer.name

    return verify


class LiveLists:
    """Revocation lists that follow their file; those of before while it cannot be read."""

    def __init__(self, crl: Crl):
        self._path = crl.path
        self._stamp = (0, 0)
        self._lists: list[x509.CertificateRevocationList] | None = None
        if crl.required or crl.path.exists():
            self._lists = read_list_file(crl.path)

    def current(self) -> list[x509.CertificateRevocationList] | None:
        """The lists as they are now; None as long as there never were any."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                self._lists = read_list_file(self._path)
                self._stamp = stamp
        except (OSError, BadInput):
            return self._lists
        return self._lists


def read_list_file(path: Path) -> list[x509.CertificateRevocationList]:
    """The revocation lists of a file. Raises BadInput naming it."""
    try:
        return read_lists(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def body_opener(pki: PkiDir, name: str, demanded: bool) -> OpenBody:
    """A function that takes the envelope off what a gateway delivered, where there is one.

    demanded: a body without one is refused. What it raises is a ClsbenchError.
    """
    party = ContentParty(pki.dir / f"emt-{name}", pki.wan_trust)

    def opened(media_type: str, body: bytes, smgw_id: str) -> bytes:
        if media_type != "application/cms" or not is_enveloped(body):
            if demanded:
                raise PeerRefused("content is in no envelope: `content` of this EMT demands one")
            return body
        found = party.open(body, "SMGW")
        if found.signer.name != smgw_id:
            raise PeerRefused(f"envelope of {found.signer.cn} delivered by {smgw_id}")
        return found.content

    return opened
