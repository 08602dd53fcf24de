"""Content security of the WAN as a whole: data, compressed, enveloped, signed, and the way back.

The order is fixed: zlib CompressedData (may be left out), AuthEnvelopedData, SignedData,
ContentInfo. What is opened was made by a signer of the expected role, for this party, and is
whole; everything else is refused with one kind of error. Pure: no clock, no files.
Sources: BSI Detailspezifikationen 2.0 chapter 5, TR-03116-3 chapter 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clsbench.errors import BadInput
from clsbench.pki.names import Peer
from clsbench.smgw.core import cms
from clsbench.smgw.core.cms import CmsError
from clsbench.smgw.core.cms_compressed import (
    MAX_CONTENT_BYTES,
    ZLIB,
    CompressedError,
    compress,
    decompress,
)
from clsbench.smgw.core.cms_der import DerError
from clsbench.smgw.core.cms_envelope import (
    AUTH_ENVELOPED,
    COMPRESSED,
    DATA,
    GCM,
    SUITES,
    EnvelopeError,
    seal,
    unseal,
)
from clsbench.smgw.core.cms_keys import OwnKey, Recipient

SIGNED_ENVELOPED = "signedData/authEnvelopedData"
MEDIA_TYPE = "application/cms"
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)  # signing time against the opener's clock
MAX_MESSAGE_BYTES = cms.MAX_BYTES


@dataclass(frozen=True)
class Signer:
    """Who signs: certificate and key in PEM."""

    cert_pem: bytes
    key_pem: bytes


@dataclass(frozen=True)
class OpenedContent:
    """What came out. suites: names of what it was protected with, from the outside in."""

    content: bytes
    signer: Peer
    signing_time: datetime
    suites: tuple[str, ...]


def make(
    content: bytes,
    signer: Signer,
    recipient: Recipient,
    at: datetime,
    suite: str = GCM,
    compressed: bool = True,
) -> bytes:
    """DER ContentInfo of the whole message.

    suite: one of SUITES; at: aware, the signing time. Raises BadInput where the content is
    larger than MAX_CONTENT_BYTES, the suite unknown, or the signer's key not one for it.
    """
    if suite not in SUITES:
        raise BadInput(f"suite '{suite}' is not known: use one of {', '.join(SUITES)}")
    if len(content) > MAX_CONTENT_BYTES:
        raise BadInput(f"content of {len(content)} bytes: at most {MAX_CONTENT_BYTES} are sent")
    inner, kind = (compress(content), COMPRESSED) if compressed else (content, DATA)
    envelope = seal(inner, kind, recipient, suite)
    return cms.sign(envelope, signer.cert_pem, signer.key_pem, at, AUTH_ENVELOPED)


def open_content(
    message: bytes,
    trust_pem: bytes,
    own_keys: Sequence[OwnKey],
    role: str,
    now: datetime | None = None,
) -> OpenedContent:
    """The content of a message made by `make`.

    trust_pem: sub-CA and root; own_keys: keys of this party; role: that the signer must have;
    now: this party's clock, where a message older or newer than MAX_CLOCK_DIFFERENCE is to be
    refused. Raises CmsError with the reason (Untrusted where the signer is the reason).
    """
    signed = cms.verify(message, trust_pem, role, AUTH_ENVELOPED)
    if now is not None and abs(now - signed.signing_time) > MAX_CLOCK_DIFFERENCE:
        raise CmsError(f"signed at {signed.signing_time:%Y-%m-%dT%H:%M:%SZ}, too far from now")
    try:
        inner, kind, suite = unseal(signed.content, own_keys)
        suites = ("CMS_ECDSA_SHA256", suite)
        if kind == COMPRESSED:
            inner, suites = decompress(inner), (*suites, ZLIB)
    except (EnvelopeError, CompressedError, DerError) as error:
        raise CmsError(f"envelope from {signed.signer.cn}: {error}") from error
    if len(inner) > MAX_CONTENT_BYTES:
        raise CmsError(f"content of more than {MAX_CONTENT_BYTES} bytes")
    return OpenedContent(inner, signed.signer, signed.signing_time, suites)


def is_enveloped(message: bytes) -> bool:
    """True where SignedData names an envelope as its content; says nothing else of it."""
    return cms.content_type_of(message) == AUTH_ENVELOPED
