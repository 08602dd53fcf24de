"""Security of wireless M-Bus: modes 5 and 7 of the transport layer, CTR of the link layer.

Knows how keys, vectors and codes are formed, no cipher: `aes` has encrypt_block(key, block) and
decrypt_cbc(key, iv, data). Sources: EN 13757-7:2018; OMS specification volume 2, chapter 9;
EN 13757-4, chapter 13 (CTR).
"""

from dicamm.proto.aes_cmac import cmac, same

_BLOCK = 16
_PAD = b"\x07"
_NO_VECTOR = bytes(_BLOCK)
# authentication type of the AFL's message control: bytes of the code that are sent
MAC_SIZES = {3: 2, 4: 4, 5: 8, 6: 12, 7: 16}

# what a derived key is for: from the meter; plus 0x10 towards it
ENCRYPT = 0x00
AUTHENTICATE = 0x01


def derive_key(aes, key, use, counter, identification):
    """The key for one message (KDF-A): counter and identification four bytes each, as sent."""
    block = bytes((use,)) + counter + identification
    return cmac(aes, key, block + _PAD * (_BLOCK - len(block)))


def mac_good(aes, key, layer, identification, message):
    """Whether an authentication layer's code is that of `message`, all behind it as sent.

    layer: wmbus_fragments.Layer.
    """
    size = MAC_SIZES.get(layer.control & 15)
    if size is None or len(layer.code) != size:
        return False
    own = derive_key(aes, key, AUTHENTICATE, layer.counter, identification)
    covered = bytes((layer.control,)) + layer.counter + layer.length + message
    return same(cmac(aes, own, covered)[:size], layer.code)


def decrypt_mode_5(aes, key, address, access, data):
    """AES-CBC, vector: manufacturer, identification, version, medium, eight access numbers."""
    return aes.decrypt_cbc(key, address + bytes((access,)) * 8, data)


def decrypt_mode_7(aes, key, counter, identification, data):
    """AES-CBC under the derived key, vector zero."""
    own = derive_key(aes, key, ENCRYPT, counter, identification)
    return aes.decrypt_cbc(own, _NO_VECTOR, data)


def decrypt_link(aes, key, address, control, session, data):
    """AES-CTR of the extended link layer; control: its CC byte, session: four bytes as sent."""
    head = address + bytes((control,)) + session + b"\x00\x00"
    out = bytearray()
    for at in range(0, len(data), _BLOCK):
        pad = aes.encrypt_block(key, head + bytes((at // _BLOCK,)))
        out += bytes([one ^ two for one, two in zip(pad, data[at : at + _BLOCK])])
    return bytes(out)
