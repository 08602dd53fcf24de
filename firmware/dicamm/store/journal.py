"""The journal: sealed records in a ring of fixed slots on a raw NOR flash region.

Append-only; states of a slot are made by clearing bits, so marking one needs no erase. A
record is durable when `append` returns. Mounting drops nothing that was whole and counts
what was torn. Knows nothing of what a record says, except its number and its kind.

Layout 1: slots of 512 bytes (two pages), eight to a sector.

    offset  bytes  content
    0       2      length of the sealed record, little endian; 0xFFFF: slot never written
    2       4      sequence number, little endian
    6       1      kind (7 or 16)
    7       1      flags, cleared one by one: 0x01 acknowledged, 0x02 announced, 0x04 given way
    8       n      sealed record
    8+n     4      CRC-32 of bytes 0..6 and the sealed record, little endian
"""

import binascii

SLOT = 512
HEADER = 8
MAX_SEALED = SLOT - HEADER - 4

ACKNOWLEDGED = 0x01
ANNOUNCED = 0x02

_EMPTY = 0xFFFF
_TAF16 = 16


class JournalFull(Exception):
    """Every slot holds a TAF16 record that nobody has acknowledged."""


class Journal:
    """region: flash port with SECTOR, PAGE, sectors, read, program, erase. Mounts at once.

    `dropped`: TAF7 records that gave way unacknowledged; `torn`: slots whose write did not end.
    """

    def __init__(self, region):
        self._region = region
        self._per_sector = region.SECTOR // SLOT
        self._slots = region.sectors * self._per_sector
        self._page = bytearray(region.PAGE)
        self._slot = bytearray(SLOT)
        self._seqs = [0] * self._slots  # sequence number in each slot, 0: none
        self._open = bytearray(self._slots)  # flags still set, and the kind's bit 0x80 for TAF16
        self._where = 0  # slot to be written next
        self.dropped = 0
        self.torn = 0
        self._mount()

    # -- reading

    @property
    def capacity(self):
        """Slots in all."""
        return self._slots

    @property
    def newest(self):
        """Sequence number of the newest record, 0 when there is none."""
        return max(self._seqs)

    @property
    def oldest(self):
        """Sequence number of the oldest record, 0 when there is none."""
        held = [seq for seq in self._seqs if seq]
        return min(held) if held else 0

    @property
    def unacknowledged(self):
        """Number of records that nobody has acknowledged."""
        return self._count(ACKNOWLEDGED)

    def unannounced(self):
        """Sequence number of the oldest TAF16 record not yet announced to the gateway, or 0."""
        found = [
            self._seqs[i]
            for i in range(self._slots)
            if self._seqs[i] and self._open[i] & 0x80 and self._open[i] & ANNOUNCED
        ]
        return min(found) if found else 0

    def read(self, seq):
        """The sealed record, or None when it is not (or no longer) here."""
        slot = self._find(seq)
        if slot is None:
            return None
        self._load(slot)
        return bytes(self._slot[HEADER : HEADER + self._length()])

    def kind(self, seq):
        """7 or 16, or None."""
        slot = self._find(seq)
        if slot is None:
            return None
        return _TAF16 if self._open[slot] & 0x80 else 7

    def pending(self, limit):
        """Sequence numbers of the oldest `limit` unacknowledged records, rising."""
        found = [
            self._seqs[i]
            for i in range(self._slots)
            if self._seqs[i] and self._open[i] & ACKNOWLEDGED
        ]
        return sorted(found)[:limit]

    def room(self):
        """True when `append` would succeed."""
        return self._where % self._per_sector != 0 or not self._holds_evidence(self._where)

    # -- writing

    def append(self, seq, kind, sealed):
        """Stores a sealed record under the number newest + 1; durable on return.

        Raises JournalFull when only unacknowledged TAF16 records could give way, ValueError
        for a record that is too long or out of turn.
        """
        if len(sealed) > MAX_SEALED:
            raise ValueError("record of %d bytes, slot takes %d" % (len(sealed), MAX_SEALED))
        if self.newest and seq != self.newest + 1:
            raise ValueError("record %d after %d" % (seq, self.newest))
        if self._where % self._per_sector == 0:
            self._make_room()
        self._build(seq, kind, sealed)
        self._program(self._where)
        self._seqs[self._where] = seq
        self._open[self._where] = ACKNOWLEDGED | ANNOUNCED | (0x80 if kind == _TAF16 else 0)
        self._where = (self._where + 1) % self._slots

    def acknowledge(self, seq):
        """Marks every record up to `seq` as safely stored elsewhere."""
        for slot in range(self._slots):
            if 0 < self._seqs[slot] <= seq and self._open[slot] & ACKNOWLEDGED:
                self._clear(slot, ACKNOWLEDGED)

    def announced(self, seq):
        """Marks one record as announced to the gateway."""
        slot = self._find(seq)
        if slot is not None and self._open[slot] & ANNOUNCED:
            self._clear(slot, ANNOUNCED)

    # -- inside

    def _mount(self):
        newest = 0
        for slot in range(self._slots):
            self._load(slot)
            length = self._length()
            if length == _EMPTY and not self._written():
                continue
            if length > MAX_SEALED or self._crc(length) != self._stored_crc(length):
                self.torn += 1
                continue
            seq = int.from_bytes(self._slot[2:6], "little")
            self._seqs[slot] = seq
            flags = self._slot[7] & (ACKNOWLEDGED | ANNOUNCED)
            self._open[slot] = flags | (0x80 if self._slot[6] == _TAF16 else 0)
            if seq > newest:
                newest = seq
                self._where = (slot + 1) % self._slots
        self._pass_written()

    def _pass_written(self):
        """Moves on over torn slots behind the newest record, up to the end of the sector."""
        while self._where % self._per_sector:
            self._load(self._where)
            if not self._written():
                return
            self._where = (self._where + 1) % self._slots

    def _make_room(self):
        first = self._where
        if self._holds_evidence(first):
            raise JournalFull
        for slot in range(first, first + self._per_sector):
            if self._seqs[slot] and self._open[slot] & ACKNOWLEDGED:
                self.dropped += 1
            self._seqs[slot] = 0
            self._open[slot] = 0
        self._region.erase(first // self._per_sector)

    def _holds_evidence(self, first):
        for slot in range(first, first + self._per_sector):
            if self._seqs[slot] and self._open[slot] & 0x80 and self._open[slot] & ACKNOWLEDGED:
                return True
        return False

    def _build(self, seq, kind, sealed):
        slot = self._slot
        for index in range(SLOT):
            slot[index] = 0xFF
        slot[0:2] = len(sealed).to_bytes(2, "little")
        slot[2:6] = seq.to_bytes(4, "little")
        slot[6] = kind
        slot[HEADER : HEADER + len(sealed)] = sealed
        end = HEADER + len(sealed)
        slot[end : end + 4] = self._crc(len(sealed)).to_bytes(4, "little")

    def _program(self, slot):
        sector = slot // self._per_sector
        offset = slot % self._per_sector * SLOT
        view = memoryview(self._slot)
        page = self._region.PAGE
        # the header goes last: a cut before it leaves a slot without a number
        for start in range(SLOT - page, -1, -page):
            self._region.program(sector, offset + start, view[start : start + page])

    def _clear(self, slot, flag):
        """Programs the slot's first page again as it stands, less one bit."""
        self._open[slot] &= 0xFF ^ flag
        sector = slot // self._per_sector
        offset = slot % self._per_sector * SLOT
        self._region.read(sector, offset, self._page)
        self._page[7] &= 0xFF ^ flag
        self._region.program(sector, offset, self._page)

    def _load(self, slot):
        offset = slot % self._per_sector * SLOT
        self._region.read(slot // self._per_sector, offset, self._slot)

    def _length(self):
        return self._slot[0] | self._slot[1] << 8

    def _written(self):
        return any(byte != 0xFF for byte in self._slot)

    def _crc(self, length):
        crc = binascii.crc32(self._slot[0:7])
        return binascii.crc32(self._slot[HEADER : HEADER + length], crc)

    def _stored_crc(self, length):
        end = HEADER + length
        return int.from_bytes(self._slot[end : end + 4], "little")

    def _find(self, seq):
        return self._slot_of(seq) if seq else None

    def _slot_of(self, seq):
        for slot in range(self._slots):
            if self._seqs[slot] == seq:
                return slot
        return None

    def _count(self, flag):
        return sum(1 for i in range(self._slots) if self._seqs[i] and self._open[i] & flag)
