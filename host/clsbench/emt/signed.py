"""Whom the aEMT believes: what an SMGW of the WAN PKI signed, in envelopes or not.

Joins the CMS reader and the opener of envelopes with the files of the PKI; knows nothing of the
content.
"""

from collections.abc import Callable

from clsbench.content_party import ContentParty
from clsbench.errors import BadInput, PeerRefused
from clsbench.roleconfig import PkiDir
from clsbench.smgw.core import cms
from clsbench.smgw.core.content import is_enveloped

# (media type, body, name of the SMGW that sent it) -> the body that counts
OpenBody = Callable[[str, bytes, str], bytes]


def cms_verifier(pki: PkiDir) -> Callable[[bytes], tuple[bytes, str]]:
    """A function from DER to (signed content, signer's smgw_id); it raises cms.CmsError."""
    try:
        trust = pki.wan_trust.read_bytes()
    except OSError as error:
        raise BadInput(f"{pki.wan_trust}: cannot be read: {error.strerror}") from error

    def verify(der: bytes) -> tuple[bytes, str]:
        signed = cms.verify(der, trust, role="SMGW")
        return signed.content, signed.signer.name

    return verify


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
