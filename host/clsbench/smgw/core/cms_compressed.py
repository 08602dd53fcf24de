"""CompressedData: zlib inside CMS, with a limit on what comes out.

Sources: RFC 3274, RFC 1950; BSI Detailspezifikationen 2.0 section 5.3.4 (suite CMS_ZLIB).
"""

import zlib

from clsbench.smgw.core import cms_der as der
from clsbench.smgw.core.cms_envelope import DATA

ZLIB = "CMS_ZLIB"
ZLIB_COMPRESS = "1.2.840.113549.1.9.16.3.8"
MAX_CONTENT_BYTES = 1024 * 1024

_HEAD = der.integer(0) + der.tlv(der.SEQUENCE, der.oid(ZLIB_COMPRESS))


class CompressedError(ValueError):
    """The compressed content does not come apart; the text says why."""


def compress(content: bytes) -> bytes:
    """DER CompressedData over plain data."""
    packed = der.tlv(der.context(0), der.tlv(der.OCTET_STRING, zlib.compress(content)))
    return der.tlv(der.SEQUENCE, _HEAD, der.tlv(der.SEQUENCE, der.oid(DATA), packed))


def decompress(data: bytes) -> bytes:
    """The content. Raises CompressedError, DerError; gives never more than MAX_CONTENT_BYTES."""
    whole = der.Reader(data)
    fields = whole.inside(der.SEQUENCE, "CompressedData")
    whole.end("CompressedData")
    fields.expect(_HEAD, "version and compression algorithm")
    info = fields.inside(der.SEQUENCE, "encapContentInfo")
    fields.end("CompressedData")
    info.expect(der.oid(DATA), "content type")
    outer = info.inside(der.context(0), "eContent")
    info.end("encapContentInfo")
    packed = outer.value(der.OCTET_STRING, "eContent")
    outer.end("eContent")
    return _inflated(packed)


def _inflated(packed: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, MAX_CONTENT_BYTES + 1)
    except zlib.error as error:
        raise CompressedError("compressed content is damaged") from error
    if len(content) > MAX_CONTENT_BYTES:
        raise CompressedError(f"content of more than {MAX_CONTENT_BYTES} bytes")
    if not stream.eof or stream.unused_data:
        raise CompressedError("compressed content is cut off, or something follows it")
    return content
