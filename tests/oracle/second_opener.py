"""A second opener of enveloped content: asn1crypto walks the structure, hashlib derives the key.

Shares no code with the product: the derivation, the unwrapping (RFC 3394) and CMAC are written
out on AES blocks; only AES itself, GCM and the curve come from `cryptography`.
"""

import hashlib
import zlib

from asn1crypto import cms, core
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ECKA_EG_SHA256 = "0.4.0.127.0.7.1.1.5.1.1.3"
CBC_CMAC_128 = "0.4.0.127.0.7.1.3.1.1.2"
# SEQUENCE { SEQUENCE { id-aes128-wrap }, [2] OCTET STRING 128 }
SHARED_INFO = bytes.fromhex("3015300b0609608648016503040105a206040400000080")


def block(key: bytes, data: bytes, decrypt: bool = False) -> bytes:
    """One AES block."""
    cipher = Cipher(algorithms.AES(key), modes.ECB())
    worker = cipher.decryptor() if decrypt else cipher.encryptor()
    return worker.update(data) + worker.finalize()


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def unwrapped(kek: bytes, wrapped: bytes) -> bytes:
    """RFC 3394 section 2.2.2, index-based."""
    a, r = wrapped[:8], [wrapped[i : i + 8] for i in range(8, len(wrapped), 8)]
    for j in range(5, -1, -1):
        for i in range(len(r) - 1, -1, -1):
            counter = (len(r) * j + i + 1).to_bytes(8, "big")
            plain = block(kek, xor(a, counter) + r[i], decrypt=True)
            a, r[i] = plain[:8], plain[8:]
    assert a == b"\xa6" * 8, "key wrap does not hold"
    return b"".join(r)


def doubled(value: bytes) -> bytes:
    """Multiplication by x in GF(2^128) (RFC 4493 section 2.3)."""
    number = int.from_bytes(value, "big") << 1
    if number >> 128:
        number = (number & (1 << 128) - 1) ^ 0x87
    return number.to_bytes(16, "big")


def cmac(key: bytes, data: bytes) -> bytes:
    """RFC 4493."""
    k1 = doubled(block(key, bytes(16)))
    whole = bool(data) and len(data) % 16 == 0
    if not whole:
        data += b"\x80" + bytes(-(len(data) + 1) % 16)
    last = xor(data[-16:], k1 if whole else doubled(k1))
    state = bytes(16)
    for at in range(0, len(data) - 16, 16):
        state = block(key, xor(state, data[at : at + 16]))
    return block(key, xor(state, last))


def opened(envelope: bytes, private_key: ec.EllipticCurvePrivateKey) -> tuple[bytes, list[str]]:
    """(content, object identifiers met from the outside in) of a DER AuthEnvelopedData."""
    data = cms.AuthEnvelopedData.load(envelope, strict=True)
    assert data["version"].native == "v0" and isinstance(data["originator_info"], core.Void)
    assert len(data["recipient_infos"]) == 1
    kari = data["recipient_infos"][0]
    assert kari.name == "kari" and kari.chosen["version"].native == "v3"
    assert isinstance(kari.chosen["ukm"], core.Void)
    algorithm = kari.chosen["key_encryption_algorithm"]
    sender = kari.chosen["originator"].chosen["public_key"].native
    (recipient,) = kari.chosen["recipient_encrypted_keys"]
    curve = private_key.curve
    point = ec.EllipticCurvePublicKey.from_encoded_point(curve, bytes(sender))
    shared = private_key.exchange(ec.ECDH(), point)
    kek = hashlib.sha256(shared + b"\x00\x00\x00\x01" + SHARED_INFO).digest()[:16]
    key = unwrapped(kek, recipient["encrypted_key"].native)
    info = data["auth_encrypted_content_info"]
    attributes = b""
    if not isinstance(data["auth_attrs"], core.Void):
        attributes = b"\x31" + data["auth_attrs"].dump()[1:]
    encrypted, mac = bytes(info["encrypted_content"]), data["mac"].native
    cipher = info["content_encryption_algorithm"]
    met = [algorithm["algorithm"].dotted, cipher["algorithm"].dotted]
    if cipher["algorithm"].dotted == CBC_CMAC_128:
        assert isinstance(cipher["parameters"], core.Void)
        assert cmac(key[16:], encrypted + attributes) == mac
        plain = cbc(key[:16], encrypted)
    else:
        nonce = cipher["parameters"].native["0"] if cipher["parameters"] else b""
        worker = Cipher(algorithms.AES(key), modes.GCM(nonce, mac)).decryptor()
        worker.authenticate_additional_data(attributes)
        plain = worker.update(encrypted) + worker.finalize()
    met.append(info["content_type"].dotted)
    if info["content_type"].native == "compressed_data":
        packed = cms.CompressedData.load(plain, strict=True)
        met.append(packed["compression_algorithm"]["algorithm"].dotted)
        plain = zlib.decompress(bytes(packed["encap_content_info"]["content"]))
    return plain, met


def cbc(key: bytes, encrypted: bytes) -> bytes:
    """AES-CBC with IV 0, padding of RFC 5652 section 6.3 taken off."""
    out, before = b"", bytes(16)
    for at in range(0, len(encrypted), 16):
        out += xor(block(key, encrypted[at : at + 16], decrypt=True), before)
        before = encrypted[at : at + 16]
    assert 1 <= out[-1] <= 16 and out.endswith(bytes([out[-1]]) * out[-1])
    return out[: -out[-1]]
