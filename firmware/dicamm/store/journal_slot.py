"""What the journal's bytes on flash look like: slots, sector headers, and their check sums.

Knows bytes in a buffer; neither flash nor ring. A single flipped bit is found and mended. The
form is drawn in docs/journal.md.

Slot, 12 + n bytes inside one page (a long one: inside two):

    0     1  form: a code in the high four bits, its complement in the low ones;
             0xFF blank, 0x00 dead
    1     1  n; of a long slot n - 245: it does not fit on one page
    2     2  sequence number, low half; of a slot of marks: the next number
    4     1  how far behind this record everything was acknowledged, 255: further
    5     1  the same for announced
    6     n  body
    6+n   4  CRC-32, begun with the sector's turn, of all before
    10+n  2  end mark: sequence number xor 0xA55A

Sector header, 32 + m bytes at the start of page 0:

    0     2  "DJ"
    2     1  layout: 2
    3     1  m
    4     4  turn: counts the sectors opened since the first; the sector is turn modulo sectors
    8     4  the number next to be given when this sector was erased
    12    4  number of the oldest record in the ring after that
    16    4  everything up to here was acknowledged
    20    4  everything up to here was announced
    24    4  unacknowledged records that gave way, in all
    28    4  CRC-32 of all before and the statement
    32    m  statement (journal_pack)

All numbers are little endian.
"""

import binascii
import struct

LAYOUT = 2
HEADER = 32
HEAD = 6  # of a slot, before its body
OVERHEAD = 12  # of a slot, around its body
FAR = 255

# codes of a slot: packing, plus TAF16, plus LONG
RAW = 1
PACKED = 2
LINKED = 3  # packed, and its link is that to the record before it on the same page
TAF16 = 4
LONG = 8
MARKS = 10

# what stands at a place
BLANK = 0
DEAD = 1  # programmed to zeros, never to be used before the next erase
WHOLE = 2
GIVEN = 3  # damaged, but its end was programmed: the number was given
BROKEN = 4

_CODES = (1, 2, 3, 5, 6, 7, 9, 10, 13)
_END = 0xA55A
_HEADER = "<2sBBIIIIII"
_MAGIC = b"DJ"
_POLYNOMIAL = 0xEDB88320  # CRC-32 of IEEE 802.3, reflected: that of binascii.crc32


class Slot:
    """The slot `parse` looked at. at, end: where it begins and ends in the buffer. code, number
    (low 16 bits), body_at, size (of the body), acknowledged, announced (distances): its fields.
    mended: a flipped bit was put right in the buffer."""

    def __init__(self):
        self.at = 0
        self.end = 0
        self.code = 0
        self.number = 0
        self.body_at = 0
        self.size = 0
        self.acknowledged = FAR
        self.announced = FAR
        self.mended = False

    def parse(self, data, at, page, turn):
        """What stands at data[at]: BLANK, DEAD, WHOLE, GIVEN or BROKEN; fields are set for WHOLE
        and GIVEN.

        page: size of a page. data: begins with the page that `at` is in; a long slot needs
        the next page behind it. turn: of the sector.
        """
        self.at = at
        self.mended = False
        form = data[at]
        if form == 0xFF:
            return BLANK
        if form == 0:
            return DEAD
        if self._fields(data, at, page) and self._check(data, turn) == 0:
            return WHOLE
        if self._mend(data, page, turn):
            self.mended = True
            return WHOLE
        if self._fields(data, at, page) and self._ended(data):
            return GIVEN
        return BROKEN

    def _fields(self, data, at, page):
        """Takes the head apart; False when no slot can begin so."""
        form = data[at]
        self.code = form >> 4
        if form & 15 != self.code ^ 15 or self.code not in _CODES:
            return False
        return self._measure(data, at, page)

    def _measure(self, data, at, page):
        long = self.code & LONG and self.code != MARKS
        self.size = data[at + 1] + (page - OVERHEAD + 1 if long else 0)
        self.body_at = at + HEAD
        self.end = at + OVERHEAD + self.size
        if self.end > (2 * page if long else page) or (long and at) or self.end > len(data):
            return False
        self.number = data[at + 2] | data[at + 3] << 8
        self.acknowledged = data[at + 4]
        self.announced = data[at + 5]
        return True

    def _check(self, data, turn):
        return difference(data, self.at, self.end - 6, turn)

    def _mend(self, data, page, turn):
        """Puts one flipped bit right, wherever in the slot it is."""
        at = self.at
        for bit in range(8):  # of the size, which says where the check sum stands
            data[at + 1] ^= 1 << bit
            if self._fields(data, at, page) and self._check(data, turn) == 0:
                return True
            data[at + 1] ^= 1 << bit
        for code in (RAW, RAW | LONG):  # of the form or anything else; either length
            self.code = code
            if self._measure(data, at, page) and mend(
                data, at, self.end - 6, self._check(data, turn)
            ):
                return self._fields(data, at, page)
        return False

    def _ended(self, data):
        mark = data[self.end - 2] | data[self.end - 1] << 8
        return mark == self.number ^ _END


def build(data, at, code, number, distances, body, page, turn):
    """Writes a slot into data at `at`; returns where it ends.

    distances: (acknowledged, announced). body: bytes, not empty. A long slot begins at 0, its
    body has more than page - 12 bytes.
    """
    size = len(body)
    end = at + OVERHEAD + size
    data[at] = code << 4 | code ^ 15
    data[at + 1] = size - (page - OVERHEAD + 1) if code & LONG and code != MARKS else size
    data[at + 2] = number & 0xFF
    data[at + 3] = number >> 8 & 0xFF
    data[at + 4] = distances[0]
    data[at + 5] = distances[1]
    data[at + HEAD : at + HEAD + size] = body
    crc = binascii.crc32(memoryview(data)[at : end - 6], turn)
    mark = number & 0xFFFF ^ _END
    struct.pack_into("<IH", data, end - 6, crc, mark)
    return end


class Header:
    """A sector's header: turn, next, oldest, acknowledged, announced, dropped, statement.

    mended: a flipped bit was put right in the buffer.
    """

    def __init__(self):
        self.turn = 0
        self.next = 0
        self.oldest = 0
        self.acknowledged = 0
        self.announced = 0
        self.dropped = 0
        self.statement = b""
        self.layout = 0
        self.end = 0
        self.mended = False

    def parse(self, data):
        """Whether data begins with a header; sets the fields, mends a flipped bit.

        `layout` is set also where it is another than LAYOUT: then the rest is not.
        """
        self.layout = 0
        self.mended = not self._whole(data)
        if self.mended and not self._mend(data):
            return False
        fields = struct.unpack_from(_HEADER, data, 0)
        self.layout = fields[1]
        self.turn, self.next, self.oldest = fields[3:6]
        self.acknowledged, self.announced, self.dropped = fields[6:9]
        self.end = HEADER + data[3]
        self.statement = bytes(data[HEADER : self.end])
        return True

    def _whole(self, data):
        return data[0:2] == _MAGIC and _header_difference(data) == 0

    def _mend(self, data):
        wrong = data[0] ^ _MAGIC[0] | (data[1] ^ _MAGIC[1]) << 8
        if wrong & wrong - 1:
            return False  # more than one bit: a blank page, or another's
        for bit in range(8):
            data[3] ^= 1 << bit
            if self._whole(data):
                return True
            data[3] ^= 1 << bit
        found = _header_difference(data)
        if found is None:
            return False
        size = data[3]
        if not _mend_header(data, size, found):
            return False
        return data[0:2] == _MAGIC and data[3] == size

    def build(self, data):
        """Writes the header into data; returns where it ends."""
        self.end = HEADER + len(self.statement)
        fields = (self.turn, self.next, self.oldest)
        marks = (self.acknowledged, self.announced, self.dropped)
        struct.pack_into(_HEADER, data, 0, _MAGIC, LAYOUT, len(self.statement), *(fields + marks))
        data[HEADER : self.end] = self.statement
        crc = binascii.crc32(self.statement, binascii.crc32(memoryview(data)[0:28]))
        struct.pack_into("<I", data, 28, crc)
        return self.end


def difference(data, start, end, seed):
    """How the check sum of data[start:end] differs from the one stored behind; 0: not."""
    return binascii.crc32(memoryview(data)[start:end], seed) ^ stored(data, end)


def stored(data, at):
    """The 32-bit number at data[at]."""
    return struct.unpack_from("<I", data, at)[0]


def mend(data, start, end, found):
    """Flips the one bit of data[start:end+4] that explains the difference `found`, if any."""
    if found == 0:
        return False
    if found & found - 1 == 0:  # a bit of the stored check sum
        _flip(data, end * 8 + _log2(found))
        return True
    index = flipped(found, (end - start) * 8)
    if index is None:
        return False
    _flip(data, end * 8 - 1 - index)
    return True


def flipped(found, bits):
    """Which bit, counted from the end of `bits` bits under the check sum, makes the difference
    `found` when it flips; None when no single bit does."""
    difference_of_bit = _POLYNOMIAL
    for index in range(bits):
        if difference_of_bit == found:
            return index
        if difference_of_bit & 1:
            difference_of_bit = difference_of_bit >> 1 ^ _POLYNOMIAL
        else:
            difference_of_bit >>= 1
    return None


def _header_difference(data):
    end = HEADER + data[3]
    if end > len(data):
        return None
    view = memoryview(data)
    return binascii.crc32(view[HEADER:end], binascii.crc32(view[0:28])) ^ stored(data, 28)


def _mend_header(data, size, found):
    if found & found - 1 == 0:
        _flip(data, 28 * 8 + _log2(found))
        return True
    index = flipped(found, (28 + size) * 8)
    if index is None:
        return False
    bit = (28 + size) * 8 - 1 - index  # counted without the check sum between
    _flip(data, bit if bit < 28 * 8 else bit + 32)
    return True


def _flip(data, bit):
    data[bit >> 3] ^= 1 << (bit & 7)


def _log2(power):
    index = 0
    while power > 1:
        power >>= 1
        index += 1
    return index
