"""Reads a journal of layout 1, the first one: slots of 512 bytes, eight to a sector.

For export and conversion only; nothing writes this layout any more.

    offset  bytes  content
    0       2      length of the sealed record, little endian; 0xFFFF: slot never written
    2       4      sequence number, little endian
    6       1      kind (7 or 16)
    7       1      flags, cleared one by one: 0x01 acknowledged, 0x02 announced
    8       n      sealed record
    8+n     4      CRC-32 of bytes 0..6 and the sealed record, little endian
"""

import binascii

_SLOT = 512
_HEADER = 8
_MOST = _SLOT - _HEADER - 4
ACKNOWLEDGED = 0x01
ANNOUNCED = 0x02


def found(region):
    """Whether the region holds at least one whole record of layout 1."""
    for _ in _slots(region):
        return True
    return False


def records(region):
    """The whole records, rising by number: (seq, kind, acknowledged, announced, sealed)."""
    places = [(seq, sector, offset) for seq, sector, offset, _ in _slots(region)]
    places.sort()
    slot = bytearray(_SLOT)
    for seq, sector, offset in places:
        region.read(sector, offset, slot)
        length = slot[0] | slot[1] << 8
        flags = slot[7]
        yield (
            seq,
            slot[6],
            not flags & ACKNOWLEDGED,
            not flags & ANNOUNCED,
            bytes(slot[_HEADER : _HEADER + length]),
        )


def convert(region, journal):
    """Puts every record of a layout 1 region into a blank journal (of layout 2, elsewhere), with
    its number and marks. Returns how many; numbers go on where they ended.

    Raises JournalFull when the other region is too small for what nobody has acknowledged.
    """
    count = 0
    whole = True  # up to here everything was acknowledged
    for seq, kind, acknowledged, announced, sealed in records(region):
        journal.append(seq, kind, sealed)
        whole = whole and acknowledged
        if whole:
            journal.acknowledge(seq)
        if announced and kind == 16:
            journal.announced(seq)
        count += 1
    journal.flush()
    return count


def _slots(region):
    slot = bytearray(_SLOT)
    for sector in range(region.sectors):
        for offset in range(0, region.SECTOR, _SLOT):
            region.read(sector, offset, slot)
            length = slot[0] | slot[1] << 8
            if length > _MOST:
                continue
            end = _HEADER + length
            crc = binascii.crc32(memoryview(slot)[0:7])
            crc = binascii.crc32(memoryview(slot)[_HEADER:end], crc)
            if crc == int.from_bytes(slot[end : end + 4], "little"):
                yield int.from_bytes(slot[2:6], "little"), sector, offset, slot[6]
