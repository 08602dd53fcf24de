"""The journal: sealed records in a ring on a raw NOR flash region.

A record is durable when `append` returns, after one page program and no erase. What is whole is
never dropped, what is torn never returned, and no number is given twice. Knows of a record its
number and its kind; bytes on flash are in journal_slot and journal_pack, the whole story in
docs/journal.md.

When the ring is full, TAF7 records give way, and are counted; a TAF16 record that nobody has
acknowledged never does, and keeps its sector. The last RESERVE pages are for TAF16 records
alone, so that what has begun can be ended.
"""

from dicamm.store.journal_marks import Marks
from dicamm.store.journal_ring import LayoutError
from dicamm.store.journal_slot import FAR, Header
from dicamm.store.journal_writer import NoRoom, Writer

__all__ = ("MAX_SEALED", "RESERVE", "Journal", "JournalFull", "LayoutError")

MAX_SEALED = 500  # bytes: what fits around a slot on two pages of 256
RESERVE = 4  # pages that only TAF16 records may use
GATHER = 64  # acknowledged records whose mark waits for the next record at most


class JournalFull(Exception):
    """There is no room that may be used: TAF16 records nobody has acknowledged stand in the way,
    or the next sector waits to be erased."""


class Journal:
    """region: flash port with SECTOR, PAGE, sectors, read, program, erase. Mounts at once.

    erase_inline: whether `append` may erase when nobody called `erase_ahead` in time (45 ms and
    more with interrupts off); False: it raises JournalFull then.
    Raises LayoutError for a region of another layout; nothing is changed then.

    `dropped`: records that gave way unacknowledged, in all. Since the mount, `torn`: slots found
    damaged, `lost`: numbers without a record found on delivery, `late_erases`: erases inside
    `append`.
    """

    def __init__(self, region, erase_inline=True):
        if region.sectors < 3:
            raise ValueError("a journal needs 3 sectors")
        self._inline = erase_inline
        self._ring = ring = Writer(region)
        self._pages = region.SECTOR // region.PAGE
        self._sectors = region.sectors
        self._acknowledged = Marks()
        self._announced = Marks()
        self._blocker = 0  # an unacknowledged TAF16 record in the oldest sector, 0: none known
        self.lost = 0
        self.late_erases = 0
        if not ring.mount():
            from dicamm.store import journal_layout1  # a reader of the past: hardly ever needed

            if journal_layout1.found(region):
                raise LayoutError(1)
            ring.format()
        found, tip = ring.found, ring.tip
        self._oldest = found.oldest
        self.dropped = found.dropped
        self._acknowledged.all_to(min(ring.newest, max(found.acknowledged, tip.acknowledged)))
        self._announced.all_to(min(ring.newest, max(found.announced, tip.announced)))
        self._carried = (self._acknowledged.floor, self._announced.floor)  # marks on flash
        if ring.told(ring.tail):  # else it is whole, and begins where the header says
            self._give_way(ring.first_of(ring.tail))
        self.torn = tip.torn

    # -- reading

    @property
    def capacity(self):
        """Records that fit at least, whatever their size: one to a page, none beside headers."""
        return self._sectors * (self._pages - 1)

    @property
    def free(self):
        """Records that are certain to be taken before JournalFull, whatever their size."""
        return self._free(self.capacity)

    @property
    def newest(self):
        """The highest number given, 0 when there is none."""
        return self._ring.newest

    @property
    def oldest(self):
        """Number of the oldest record, 0 when there is none."""
        return self._oldest if self._oldest <= self.newest else 0

    @property
    def unacknowledged(self):
        """How many numbers from oldest to newest nobody has acknowledged."""
        return self._acknowledged.open_between(self._oldest, self.newest + 1)

    @property
    def acknowledged_to(self):
        """Every number up to here was acknowledged."""
        return self._acknowledged.floor

    @property
    def failed(self):
        """Programs since the mount that did not read back as written."""
        return self._ring.failed

    @property
    def plain(self):
        """Records since the mount that had no form to pack."""
        return self._ring.plain

    @property
    def long(self):
        """Those of them that took two pages, and two programs."""
        return self._ring.long

    def read(self, seq):
        """The sealed record, byte for byte as appended, or None when it is not here."""
        if seq > 0 and self._oldest <= seq <= self.newest:
            return self._ring.read(seq)
        return None

    def kind(self, seq):
        """7 or 16, or None."""
        if self._oldest <= seq <= self.newest:
            return self._ring.kind(seq)
        return None

    def newest_sealed(self):
        """The newest record that can be read, or None: what the next one is linked to."""
        for seq in range(self.newest, max(self._oldest, 1) - 1, -1):
            sealed = self.read(seq)
            if sealed is not None:
                return sealed
        return None

    def unannounced(self):
        """Number of the oldest TAF16 record not yet announced to the gateway, or 0."""
        marks = self._announced
        if marks.missing:
            return marks.missing[0]
        while marks.to < self.newest:
            if self.kind(marks.to + 1) == 16:
                return marks.to + 1
            marks.to += 1
        return 0

    def pending(self, limit):
        """Numbers of the oldest `limit` unacknowledged records, rising. A number whose record
        cannot be read is passed over and counted in `lost`."""
        marks = self._acknowledged
        for seq in list(marks.missing):
            if self.kind(seq) is None:
                marks.one(seq, [])
                self.lost += 1
        while marks.to < self.newest and self.kind(marks.to + 1) is None:
            marks.to += 1
            self.lost += 1
        found = marks.missing[:limit]
        seq = marks.to + 1
        while len(found) < limit and seq <= self.newest:
            if self.kind(seq) is not None:
                found.append(seq)
            seq += 1
        return found

    def room(self):
        """Whether a transaction may begin: its records and those of its end will be taken."""
        return self._free(RESERVE + 1) > RESERVE

    # -- writing

    def append(self, seq, kind, sealed):
        """Stores a sealed record under the number newest + 1; durable on return.

        Raises JournalFull; ValueError for a record that is too long or out of turn; OSError when
        the flash does not keep it, and then the number is still to be given.
        """
        ring = self._ring
        if kind != 16 or seq != ring.newest + 1 or not 0 < len(sealed) <= MAX_SEALED:
            self._check(seq, kind, sealed)
            ring.settle()
            if kind != 16 and self._free(RESERVE + 1) <= RESERVE:
                raise JournalFull
        if ring.unopened:
            self._oldest = seq
            self._acknowledged.begin_at(seq)
            self._announced.begin_at(seq)
        marks = self._acknowledged
        acknowledged = marks.floor if marks.missing else marks.to
        marks = self._announced
        announced = marks.floor if marks.missing else marks.to
        near = seq - 1 - FAR
        distances = (
            seq - 1 - acknowledged if acknowledged > near else FAR,
            seq - 1 - announced if announced > near else FAR,
        )
        try:
            ring.append(seq, kind, sealed, distances)
        except NoRoom:
            if not self._inline or not self.erase_ahead():
                raise JournalFull from None
            self.late_erases += 1
            ring.append(seq, kind, sealed, distances)
        if acknowledged > near and announced > near:
            self._carried = (acknowledged, announced)

    def link(self):
        """After an append: the first 8 bytes of SHA-256 of that record, which the next one holds
        as its key 13."""
        return self._ring.link()

    def acknowledge(self, seq, missing=()):
        """Marks every record up to `seq`, less `missing`, as safely stored elsewhere.

        The mark goes to flash with the next record, or with `flush`. A power cut before costs
        no more than that the records are delivered again.
        """
        self._acknowledged.all_to(min(seq, self.newest), missing)
        if self._acknowledged.floor - self._carried[0] >= GATHER:
            self.flush()

    def announced(self, seq):
        """Marks one record as announced to the gateway; on flash as `acknowledge`."""
        marks = self._announced
        between = []
        if marks.to < seq <= self.newest:
            between = [n for n in range(marks.to + 1, seq) if self.kind(n) == 16]
        if seq <= self.newest:
            marks.one(seq, between)

    def flush(self):
        """Puts the marks on flash now: one program, or none when they are there already.
        False when there is no room for them."""
        marks = (self._acknowledged.floor, self._announced.floor)
        if marks != self._carried and not self._ring.unopened:
            try:
                self._ring.append_marks(*marks)
            except NoRoom:
                return False
            self._carried = marks
        return True

    def settle(self):
        """Does ahead what the first append after a mount would have to do: up to three page
        programs beside its own. To be called when a start has lasted."""
        self._ring.settle()

    # -- the next sector

    def erase_due(self):
        """Whether `erase_ahead` has something to do."""
        ring = self._ring
        return not ring.ready and not ring.unopened and not self._blocking(self._next_to_go())

    def erase_ahead(self):
        """Erases the sector that is needed next; what stood there gives way. One erase and one
        program: to be called where nothing waits for the CPU. False when it was not due."""
        if not self.erase_due():
            return False
        ring = self._ring
        if self._next_to_go() >= 0:
            self._give_way(ring.first_of(self._next_to_go() + 1))
        header = Header()
        header.next = self.newest + 1
        header.oldest = self._oldest
        header.acknowledged = self._acknowledged.floor
        header.announced = self._announced.floor
        header.dropped = self.dropped
        return ring.prepare_next(header)

    # -- inside

    def _check(self, seq, kind, sealed):
        if kind not in (7, 16):
            raise ValueError("kind %d is neither 7 nor 16" % kind)
        if not 0 < len(sealed) <= MAX_SEALED:
            raise ValueError("record of %d bytes, slot takes %d" % (len(sealed), MAX_SEALED))
        if seq < 1 or self.newest and seq != self.newest + 1:
            raise ValueError("record %d after %d" % (seq, self.newest))

    def _next_to_go(self):
        """Turn of the sector that is erased next; negative while the ring has not come round."""
        return self._ring.turn + 1 + self._ring.ready - self._sectors

    def _blocking(self, turn):
        """The first TAF16 record in the sector of a turn that nobody has acknowledged, or 0."""
        if turn < 0:
            return 0
        marks = self._acknowledged
        first = max(self._ring.first_of(turn), self._oldest)
        behind = self._ring.first_of(turn + 1)
        if first <= self._blocker < behind and not marks.has(self._blocker):
            return self._blocker
        if marks.open_between(first, behind):
            for seq in range(first, behind):
                if not marks.has(seq) and self.kind(seq) == 16:
                    self._blocker = seq
                    return seq
        return 0

    def _give_way(self, behind):
        """Everything below the number `behind` is no longer here."""
        if behind > self._oldest:
            self.dropped += self._acknowledged.open_between(self._oldest, behind)
            self._oldest = behind
            self._acknowledged.begin_at(behind)
            self._announced.begin_at(behind)

    def _free(self, enough):
        """As `free`, but counted no further than `enough`."""
        ring = self._ring
        free = ring.pages_left()
        turn = ring.turn + 1 + ring.ready
        while free < enough and turn < ring.turn + self._sectors:
            if self._blocking(turn - self._sectors):
                break
            free += self._pages - 1
            turn += 1
        return free
