"""AuthEnvelopedData: content that only its recipient reads, and that nobody altered.

One narrow form: version 0, one recipient named by subject key identifier, an ephemeral key on
brainpoolP256r1, AES-128 in GCM (nonce 12, tag 16) or in CBC with CMAC (IV 0, two keys). Whatever
that form does not need is refused. Says nothing about who made it: that is SignedData's.
Sources: BSI Detailspezifikationen 2.0 sections 5.3.2 and 5.4, RFC 5083, RFC 5084, RFC 5753.
"""

import secrets
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.cmac import CMAC

from clsbench.smgw.core import cms_der as der
from clsbench.smgw.core.cms_keys import (
    POINT_BYTES,
    WRAP_ALGORITHM,
    KeyProblem,
    OwnKey,
    Recipient,
    lock,
    unlock,
)

GCM = "CMS_ECKAEG_AES_128_GCM"
CBC_CMAC = "CMS_ECKAEG_AES_128_CBCCMAC"
SUITES = (GCM, CBC_CMAC)

DATA = "1.2.840.113549.1.7.1"
AUTH_ENVELOPED = "1.2.840.113549.1.9.16.1.23"
COMPRESSED = "1.2.840.113549.1.9.16.1.9"
ECKA_EG = "0.4.0.127.0.7.1.1.5.1.1.3"  # ecka-eg-X963KDF-SHA256
AES128_GCM = "2.16.840.1.101.3.4.1.6"
AES128_CBC_CMAC = "0.4.0.127.0.7.1.3.1.1.2"  # id-aes-CBC-CMAC-128
EC_PUBLIC_KEY = "1.2.840.10045.2.1"
BRAINPOOL_P256R1 = "1.3.36.3.3.2.8.1.1.7"
CONTENT_TYPE = "1.2.840.113549.1.9.3"

_CONTENT_TYPES = (DATA, COMPRESSED)
_NONCE, _TAG, _AES = 12, 16, 16
_IV = bytes(16)
_AUTH_ATTRS = der.context(1)
_KARI = der.context(1)
_KEY_ALGORITHM = der.tlv(der.SEQUENCE, der.oid(ECKA_EG), WRAP_ALGORITHM)
_EPHEMERAL_ALGORITHM = der.tlv(der.SEQUENCE, der.oid(EC_PUBLIC_KEY))
_EPHEMERAL_ALGORITHM_NAMED = der.tlv(
    der.SEQUENCE, der.oid(EC_PUBLIC_KEY), der.oid(BRAINPOOL_P256R1)
)
_CBC_CMAC_ALGORITHM = der.tlv(der.SEQUENCE, der.oid(AES128_CBC_CMAC))


class EnvelopeError(ValueError):
    """The envelope does not open; the text says at which step."""


def seal(content: bytes, content_type: str, recipient: Recipient, suite: str = GCM) -> bytes:
    """DER AuthEnvelopedData (no ContentInfo around it).

    content_type: DATA or COMPRESSED; suite: GCM or CBC_CMAC.
    """
    attributes = _attributes(content_type)
    if suite == GCM:
        key, nonce = secrets.token_bytes(_AES), secrets.token_bytes(_NONCE)
        locked = AESGCM(key).encrypt(nonce, content, attributes or None)
        encrypted, mac = locked[:-_TAG], locked[-_TAG:]
        algorithm = _gcm_algorithm(nonce)
    else:
        key = secrets.token_bytes(2 * _AES)
        encrypted = _cbc_encrypted(key[:_AES], content)
        mac = _cmac(key[_AES:], encrypted + attributes).finalize()
        algorithm = _CBC_CMAC_ALGORITHM
    info = der.tlv(
        der.SEQUENCE,
        der.oid(content_type),
        algorithm,
        der.tlv(der.context(0, constructed=False), encrypted),
    )
    return der.tlv(
        der.SEQUENCE,
        der.integer(0),
        der.tlv(der.SET, _recipient_info(key, recipient)),
        info,
        _tagged(attributes),
        der.tlv(der.OCTET_STRING, mac),
    )


def unseal(data: bytes, own_keys: Iterable[OwnKey]) -> tuple[bytes, str, str]:
    """(content, its type, suite) of a DER AuthEnvelopedData.

    own_keys: the keys of this party, the older ones during a renewal too. Raises EnvelopeError
    for whatever `seal` would not have made, DerError where the bytes are no such structure.
    """
    whole = der.Reader(data)
    fields = whole.inside(der.SEQUENCE, "AuthEnvelopedData")
    whole.end("AuthEnvelopedData")
    if fields.number("version") != 0:
        raise EnvelopeError("version is not 0")
    key_id, point, wrapped = _read_recipients(fields.inside(der.SET, "recipientInfos"))
    content_type, suite, nonce, encrypted = _read_content_info(
        fields.inside(der.SEQUENCE, "authEncryptedContentInfo")
    )
    attributes = b""
    if fields.next_is(_AUTH_ATTRS):
        attributes = bytes((der.SET,)) + fields.element(_AUTH_ATTRS, "authAttrs")[1:]
    mac = fields.value(der.OCTET_STRING, "mac")
    fields.end("AuthEnvelopedData")
    if attributes != _attributes(content_type):
        raise EnvelopeError("authenticated attributes do not fit the content type")
    if len(mac) != _TAG:
        raise EnvelopeError(f"code of {len(mac)} bytes, expected {_TAG}")
    key = _unlocked(key_id, point, wrapped, own_keys, suite)
    opened = _opened_gcm if suite == GCM else _opened_cbc
    return opened(key, nonce, encrypted, mac, attributes), content_type, suite


def _attributes(content_type: str) -> bytes:
    """authAttrs as DER SET OF, as they go into the code; none for plain data."""
    if content_type == DATA:
        return b""
    if content_type not in _CONTENT_TYPES:
        raise EnvelopeError(f"content type {content_type} is neither data nor compressed data")
    values = der.tlv(der.SET, der.oid(content_type))
    return der.tlv(der.SET, der.tlv(der.SEQUENCE, der.oid(CONTENT_TYPE), values))


def _tagged(attributes: bytes) -> bytes:
    """authAttrs as they are sent: [1] IMPLICIT in place of SET OF; absent where there are none."""
    return bytes((_AUTH_ATTRS,)) + attributes[1:] if attributes else b""


def _recipient_info(key: bytes, recipient: Recipient) -> bytes:
    point, wrapped = lock(key, recipient)
    public = der.tlv(der.BIT_STRING, b"\x00", point)
    ephemeral = der.tlv(der.context(1), _EPHEMERAL_ALGORITHM, public)
    named = der.tlv(der.context(0), der.tlv(der.OCTET_STRING, recipient.key_id))
    encrypted = der.tlv(der.SEQUENCE, named, der.tlv(der.OCTET_STRING, wrapped))
    return der.tlv(
        _KARI,
        der.integer(3),
        der.tlv(der.context(0), ephemeral),
        _KEY_ALGORITHM,
        der.tlv(der.SEQUENCE, encrypted),
    )


def _read_recipients(recipients: der.Reader) -> tuple[bytes, bytes, bytes]:
    """(key identifier, ephemeral point, wrapped key) of the one recipient."""
    info = recipients.inside(_KARI, "KeyAgreeRecipientInfo")
    recipients.end("recipientInfos")
    if info.number("version") != 3:
        raise EnvelopeError("version of the recipient is not 3")
    originator = info.inside(der.context(0), "originator")
    public = originator.inside(der.context(1), "originatorKey")
    originator.end("originator")
    algorithm = public.element(der.SEQUENCE, "originatorKey algorithm")
    if algorithm not in (_EPHEMERAL_ALGORITHM, _EPHEMERAL_ALGORITHM_NAMED):
        raise EnvelopeError("ephemeral key is not on brainpoolP256r1")
    bits = public.value(der.BIT_STRING, "originatorKey")
    public.end("originatorKey")
    if len(bits) != POINT_BYTES + 1 or bits[:2] != b"\x00\x04":
        raise EnvelopeError("ephemeral key is not an uncompressed point")
    info.expect(_KEY_ALGORITHM, "keyEncryptionAlgorithm")
    keys = info.inside(der.SEQUENCE, "recipientEncryptedKeys")
    info.end("KeyAgreeRecipientInfo")
    one = keys.inside(der.SEQUENCE, "recipientEncryptedKey")
    keys.end("recipientEncryptedKeys")
    named = one.inside(der.context(0), "rKeyId")
    key_id = named.value(der.OCTET_STRING, "subjectKeyIdentifier")
    named.end("rKeyId")
    wrapped = one.value(der.OCTET_STRING, "encryptedKey")
    one.end("recipientEncryptedKey")
    return key_id, bits[1:], wrapped


def _read_content_info(info: der.Reader) -> tuple[str, str, bytes, bytes]:
    """(content type, suite, nonce, encrypted content)."""
    kind = info.value(der.OBJECT_IDENTIFIER, "contentType")
    content_type = next((each for each in _CONTENT_TYPES if der.oid_value(each) == kind), None)
    if content_type is None:
        raise EnvelopeError("encrypted content is neither data nor compressed data")
    algorithm = info.element(der.SEQUENCE, "contentEncryptionAlgorithm")
    encrypted = info.value(der.context(0, constructed=False), "encryptedContent")
    info.end("authEncryptedContentInfo")
    if algorithm == _CBC_CMAC_ALGORITHM:
        return content_type, CBC_CMAC, b"", encrypted
    at = len(_gcm_algorithm(bytes(_NONCE))) - 3 - _NONCE  # the nonce stands before the tag length
    nonce = algorithm[at : at + _NONCE]
    if len(nonce) != _NONCE or algorithm != _gcm_algorithm(nonce):
        raise EnvelopeError("content encryption is neither AES-128-GCM nor AES-CBC-CMAC-128")
    return content_type, GCM, nonce, encrypted


def _gcm_algorithm(nonce: bytes) -> bytes:
    parameters = der.tlv(der.SEQUENCE, der.tlv(der.OCTET_STRING, nonce), der.integer(_TAG))
    return der.tlv(der.SEQUENCE, der.oid(AES128_GCM), parameters)


def _unlocked(
    key_id: bytes, point: bytes, wrapped: bytes, own_keys: Iterable[OwnKey], suite: str
) -> bytes:
    own = next((each for each in own_keys if each.key_id == key_id), None)
    if own is None:
        raise EnvelopeError("made for another recipient")
    try:
        key = unlock(point, wrapped, own)
    except KeyProblem as error:
        raise EnvelopeError(str(error)) from error
    if len(key) != (_AES if suite == GCM else 2 * _AES):
        raise EnvelopeError("content key has not the length of its algorithm")
    return key


def _opened_gcm(
    key: bytes, nonce: bytes, encrypted: bytes, mac: bytes, attributes: bytes
) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, encrypted + mac, attributes or None)
    except InvalidTag as error:
        raise EnvelopeError("encrypted content was altered: its code does not hold") from error


def _opened_cbc(key: bytes, _: bytes, encrypted: bytes, mac: bytes, attributes: bytes) -> bytes:
    try:
        _cmac(key[_AES:], encrypted + attributes).verify(mac)
    except InvalidSignature as error:
        raise EnvelopeError("encrypted content was altered: its code does not hold") from error
    decryptor = Cipher(algorithms.AES(key[:_AES]), modes.CBC(_IV)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    try:
        padded = decryptor.update(encrypted) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as error:
        raise EnvelopeError("encrypted content is not whole padded blocks") from error


def _cbc_encrypted(key: bytes, content: bytes) -> bytes:
    padder = padding.PKCS7(128).padder()
    padded = padder.update(content) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(_IV)).encryptor()
    return encryptor.update(padded) + encryptor.finalize()


def _cmac(key: bytes, data: bytes) -> CMAC:
    code = CMAC(algorithms.AES(key))
    code.update(data)
    return code
