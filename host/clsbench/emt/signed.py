"""Whom the aEMT believes: gateway records signed by an SMGW of the WAN PKI.

Joins the CMS reader with the trust files; knows nothing of the content.
"""

from collections.abc import Callable

from clsbench.errors import BadInput
from clsbench.roleconfig import PkiDir
from clsbench.smgw.core import cms


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
