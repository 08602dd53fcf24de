"""AES-CMAC (RFC 4493) over a block cipher that the caller hands in.

Knows no cipher: `aes` has encrypt_block(key, block) -> 16 bytes.
"""

_BLOCK = 16
_R = 0x87


def cmac(aes, key, data):
    """The 16 bytes of AES-CMAC over `data`."""
    sub_key = _double(aes.encrypt_block(key, bytes(_BLOCK)))
    rest = len(data) % _BLOCK
    last = data[len(data) - rest :] if rest or not data else data[-_BLOCK:]
    if len(last) < _BLOCK:
        sub_key = _double(sub_key)
        last = bytes(last) + b"\x80" + bytes(_BLOCK - 1 - len(last))
    state = bytes(_BLOCK)
    for at in range(0, max(0, (len(data) - 1) // _BLOCK * _BLOCK), _BLOCK):
        state = aes.encrypt_block(key, _xor(state, data[at : at + _BLOCK]))
    return aes.encrypt_block(key, _xor(_xor(state, last), sub_key))


def same(one, other):
    """Whether two codes are equal, in a time that does not tell where they differ."""
    if len(one) != len(other):
        return False
    difference = 0
    for mine, theirs in zip(one, other):
        difference |= mine ^ theirs
    return difference == 0


def _xor(one, other):
    return bytes([mine ^ theirs for mine, theirs in zip(one, other)])


def _double(block):
    """The block times x in GF(2^128)."""
    out = bytearray(_BLOCK)
    carry = 0
    for at in range(_BLOCK - 1, -1, -1):
        out[at] = block[at] << 1 & 0xFF | carry
        carry = block[at] >> 7
    if carry:
        out[-1] ^= _R
    return bytes(out)
