"""Link layer of wireless M-Bus: frame formats A and B, or bytes already without checksums.

Knows one telegram as a receiver module hands it on, from the length field to the last byte;
nothing of radio, and nothing of what the telegram says. Source: EN 13757-4, chapter 12.
"""

from array import array

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


MAX_TELEGRAM = const(291)  # length field 255, format A with its 17 checksums, and itself

# formats
FORMAT_A = "a"
FORMAT_B = "b"
STRIPPED = "none"  # the receiver took the checksums out

_HEAD = const(10)  # L, C, M, A
_BLOCK = const(16)
_FIRST_B = const(128)  # the first two blocks of format B, checksum included
_POLYNOMIAL = const(0x3D65)


def _table():
    table = array("H")
    for high in range(16):
        crc = high << 12
        for _ in range(4):
            crc = (crc << 1 ^ (_POLYNOMIAL if crc & 0x8000 else 0)) & 0xFFFF
        table.append(crc)
    return table


_CRC = _table()


def crc16(data, start, end):
    """CRC-16/EN-13757 of data[start:end], sent high byte first. "123456789": 0xC2B7."""
    table = _CRC
    crc = 0
    for place in range(start, end):
        byte = data[place]
        crc = (crc << 4 & 0xFFFF) ^ table[crc >> 12 ^ byte >> 4]
        crc = (crc << 4 & 0xFFFF) ^ table[crc >> 12 ^ byte & 15]
    return crc ^ 0xFFFF


class WmbusLink:
    """A telegram's link layer.

    form: one of the formats above; length: bytes it took. control: C field; manufacturer:
    number; identification: four bytes, BCD least significant first; version, medium.
    payload: bytes from the first CI field on, without checksums.
    """

    def __init__(self, form, length, head, payload):
        self.form = form
        self.length = length
        self.control = head[1]
        self.manufacturer = head[2] | head[3] << 8
        self.address = bytes(head[2:10])  # manufacturer, identification, version, medium
        self.identification = bytes(head[4:8])
        self.version = head[8]
        self.medium = head[9]
        self.payload = payload


def read_link(data, form=None):
    """The telegram at the begin of `data`: (WmbusLink or None, reason or None).

    form: format, None to find it out by the checksums: where neither A nor B fits, the bytes
    are taken as stripped. Reasons: "length" (no telegram is that short), "cut off", "crc".
    """
    if not len(data) or data[0] < _HEAD:
        return None, "length"
    if form is None:
        form = _form(data)
    if form == FORMAT_A:
        return _read_a(data)
    if form == FORMAT_B:
        return _read_b(data)
    end = data[0] + 1
    if len(data) < end:
        return None, "cut off"
    return WmbusLink(form, end, data, bytes(data[_HEAD:end])), None


def _form(data):
    if len(data) >= _HEAD + 2 and _good(data, 0, _HEAD):
        return FORMAT_A
    end = data[0] + 1
    if len(data) >= end and end >= _HEAD + 3 and _good_b(data, end):
        return FORMAT_B
    return STRIPPED


def _good(data, start, end):
    return crc16(data, start, end) == data[end] << 8 | data[end + 1]


def _good_b(data, end):
    if end <= _FIRST_B:
        return _good(data, 0, end - 2)
    if end < _FIRST_B + 3:
        return False
    return _good(data, 0, _FIRST_B - 2) and _good(data, _FIRST_B, end - 2)


def _read_a(data):
    left = data[0] + 1 - _HEAD
    at = _HEAD + 2
    end = at + left + 2 * ((left + _BLOCK - 1) // _BLOCK)
    if len(data) < end:
        return None, "cut off"
    if not _good(data, 0, _HEAD):
        return None, "crc"
    payload = bytearray()
    while left:
        size = min(left, _BLOCK)
        if not _good(data, at, at + size):
            return None, "crc"
        payload += data[at : at + size]
        at += size + 2
        left -= size
    return WmbusLink(FORMAT_A, end, data, bytes(payload)), None


def _read_b(data):
    end = data[0] + 1
    if len(data) < end:
        return None, "cut off"
    if end < _HEAD + 3 or not _good_b(data, end):
        return None, "crc"
    payload = bytes(data[_HEAD : min(end, _FIRST_B) - 2])
    if end > _FIRST_B:
        payload += bytes(data[_FIRST_B : end - 2])
    return WmbusLink(FORMAT_B, end, data, payload), None


def frame_a(telegram):
    """The bytes of format A; telegram: without checksums, its length field first."""
    out = bytearray()
    at = 0
    while at < len(telegram):
        size = _BLOCK if at else _HEAD
        block = telegram[at : at + size]
        crc = crc16(block, 0, len(block))
        out += block
        out.append(crc >> 8)
        out.append(crc & 0xFF)
        at += size
    return bytes(out)


def frame_b(telegram):
    """The bytes of format B; telegram: without checksums, its length field is made new."""
    size = len(telegram) + (2 if len(telegram) <= _FIRST_B - 2 else 4)
    plain = bytes((size - 1,)) + bytes(telegram[1:])
    out = bytearray()
    for block in (plain[: _FIRST_B - 2], plain[_FIRST_B - 2 :]):
        if block:
            crc = crc16(block, 0, len(block))
            out += block
            out.append(crc >> 8)
            out.append(crc & 0xFF)
    return bytes(out)
