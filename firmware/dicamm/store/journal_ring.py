"""The ring of sectors under the journal: what a start finds on flash, and reading from it.

Knows flash and numbers; not which record may give way (store.journal), nor how to write
(store.journal_writer). Sectors are opened in turn, for ever: the sector of a turn is turn modulo
the number of sectors.
"""

from array import array

from dicamm.store import journal_slot as form
from dicamm.store.journal_sector import Sector, blank, program_again

_LOOKS = 3  # at a slot that reads damaged at the very end of the ring


class LayoutError(Exception):
    """The region holds a journal of another layout, whose number is the argument."""


class Found:
    """What the newest sector's header said: oldest, acknowledged, announced, dropped. bare: its
    bytes when no slot follows, else b""; mended: as journal_slot.Header."""

    def __init__(self):
        self.oldest = 0
        self.acknowledged = 0
        self.announced = 0
        self.dropped = 0
        self.bare = b""
        self.mended = False


class Ring:
    """region: flash port with SECTOR, PAGE, sectors (3 at least), read, program, erase.

    newest: the highest number given, 0 for none. tip: the sector being written, turn: its turn.
    ready: the next one is erased. unopened: no record was ever written. found: see Found.
    """

    def __init__(self, region):
        self._region = region
        self._window = bytearray(2 * region.PAGE)
        self._page = bytearray(2 * region.PAGE)
        self._page_view = memoryview(self._page)[: region.PAGE]
        self._window_view = memoryview(self._window)[: region.PAGE]
        self._starts = array("I", bytes(4 * region.sectors))  # first number of each sector
        self._view = Sector(region, self._window)
        self.tip = Sector(region, self._window)
        self.turn = 0
        self.ready = False
        self.unopened = True
        self.newest = 0
        self.found = Found()

    # -- start

    def mount(self):
        """Finds the ring, False where there is none: reads one page of each sector, and one
        sector. Raises LayoutError."""
        turns = self._read_headers()
        best = max(turns) - 1
        if best < 0:
            return False
        self.unopened = False
        given = self._find_tip(best, turns)
        self._fill_starts(turns)
        if given == self.newest + 1:
            self.newest = given
        self.tip.heal(self._page)
        return True

    def _read_headers(self):
        sectors = self._region.sectors
        turns = array("I", bytes(4 * sectors))  # turn + 1, 0: no header
        view = self._view
        best = 0
        for index in range(sectors):
            if not view.peek(index):
                continue
            header = view.header
            if header.layout != form.LAYOUT:
                raise LayoutError(header.layout)
            if header.turn % sectors == index:
                turns[index] = header.turn + 1
                self._starts[index] = view.first_number()
                if turns[index] > best:
                    best = turns[index]
                    self._note(header, view.bare_header())
        view.forget()
        return turns

    def _note(self, header, bare):
        self.newest = max(header.next - 1, 0)
        found = self.found
        found.oldest = header.oldest
        found.acknowledged = header.acknowledged
        found.announced = header.announced
        found.dropped = header.dropped
        found.bare = bare
        found.mended = header.mended

    def _find_tip(self, best, turns):
        """The newest sector with slots; those behind it are erased. Returns a number that a
        damaged slot shows to have been given, or 0."""
        sectors = self._region.sectors
        given = 0
        empty = self.found.bare and self._begins_blank(best % sectors)
        if empty:
            bare, mended = self.found.bare, self.found.mended
            program_again(self._region, best % sectors, 0, bare, self._page, mended)
        for turn in range(best - (1 if empty else 0), max(best - sectors, -1), -1):
            index = turn % sectors
            if turns[index] != turn + 1:
                continue
            self.turn = turn
            for _ in range(_LOOKS):
                self.tip.load(index)
                if not self.tip.given:
                    break
            if self.tip.given:
                given = self.tip.given
                self.tip.spoil(self._page)
            if self.tip.slots:
                self.ready = turns[(turn + 1) % sectors] == turn + 2
                self.newest = max(self.newest, self.tip.highest)
                return given
            self.tip.heal(self._page)
        self.turn = best
        self.tip.load(best % sectors)
        return given

    def _begins_blank(self, index):
        """Whether page 1 of a sector has no slot: where page 0 has none either, nothing has."""
        begin = memoryview(self._window)[: form.OVERHEAD]
        self._region.read(index, self._region.PAGE, begin)
        return blank(self._window, 0, form.OVERHEAD)

    def _fill_starts(self, turns):
        """Sectors without a header begin where the next one does, so that numbers rise."""
        sectors = self._region.sectors
        self._starts[self.tip.index] = self.tip.start if self.tip.count else self.newest + 1
        for turn in range(self.turn - 1, self.turn - sectors, -1):
            index = turn % sectors
            if turn < 0 or turns[index] != turn + 1:
                self._starts[index] = self._start_of(turn + 1)

    def _start_of(self, turn):
        """The first number of a turn's sector, or of the next that holds any. Loads the sector
        where its page 0 did not tell."""
        first = turn
        index = turn % self._region.sectors
        while not self._starts[index]:
            self._view.load(index)
            if self._view.count:
                self._starts[index] = self._view.start
            else:
                turn += 1
                index = turn % self._region.sectors
        start = self._starts[index]
        while first < turn:
            self._starts[first % self._region.sectors] = start
            first += 1
        return start

    # -- reading

    def kind(self, seq):
        """16, 7, or None when the record is not here."""
        sector = self._sector_of(seq)
        return sector.kind(seq) if sector else None

    def read(self, seq):
        """The sealed record, or None when it is not here or no longer whole."""
        sector = self._sector_of(seq)
        return sector.read(seq) if sector else None

    def _sector_of(self, seq):
        if self.tip.count and seq >= self.tip.start:
            return self.tip
        low = self.tail
        high = self.turn
        while low < high:  # the last sector that begins at or below seq
            middle = (low + high + 1) // 2
            if self._start_of(middle) <= seq:
                low = middle
            else:
                high = middle - 1
        index = low % self._region.sectors
        if low == self.turn or self._start_of(low) > seq:
            return None
        if self._view.index != index and not self._view.load(index):
            return None
        return self._view

    @property
    def tail(self):
        """Turn of the oldest sector of the ring."""
        return max(0, self.turn + 1 - self._region.sectors + self.ready)

    def first_of(self, turn):
        """The first number in the sector of a turn, or the first behind it if it holds none."""
        if turn > self.turn or self.unopened:
            return self.newest + 1
        return self._start_of(turn)

    def told(self, turn):
        """Whether `first_of` a turn costs no reading."""
        return self.unopened or self._starts[turn % self._region.sectors] > 0
