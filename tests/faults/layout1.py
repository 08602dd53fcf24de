"""A frozen writer of journal layout 1, to make the images that later layouts must cope with.

Writes as the journal did when layout 1 was in use; never to be changed.
"""

import binascii

SLOT = 512
ACKNOWLEDGED = 0x01
ANNOUNCED = 0x02


def put(region, slot, seq, kind, sealed, flags=0):
    """Puts a record into a slot of an erased region; flags: states that are cleared."""
    image = bytearray(b"\xff" * SLOT)
    image[0:2] = len(sealed).to_bytes(2, "little")
    image[2:6] = seq.to_bytes(4, "little")
    image[6] = kind
    image[7] = 0xFF ^ flags
    image[8 : 8 + len(sealed)] = sealed
    end = 8 + len(sealed)
    crc = binascii.crc32(sealed, binascii.crc32(bytes(image[0:7])))
    image[end : end + 4] = crc.to_bytes(4, "little")
    per_sector = region.SECTOR // SLOT
    for start in range(SLOT - region.PAGE, -1, -region.PAGE):
        offset = slot % per_sector * SLOT + start
        region.program(slot // per_sector, offset, image[start : start + region.PAGE])
