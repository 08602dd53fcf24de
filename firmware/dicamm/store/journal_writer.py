"""Writing to the journal's ring: where the next slot goes, and the sector after.

Knows flash and numbers; not which record may give way (store.journal). One page program puts a
record on flash. What a power cut may have left half programmed is never written over: the first
write after a start kills the pages that the write before the start may have touched, and goes
behind them.
"""

import errno

from dicamm.store import journal_slot as form
from dicamm.store.journal_pack import LINK, learn
from dicamm.store.journal_ring import Ring
from dicamm.store.journal_sector import blank, link_of, shortened

_TRIES = 3  # places tried for a record that does not read back


class NoRoom(Exception):
    """The next sector is not erased."""


class Writer(Ring):
    """A Ring that is written. Since the mount, failed: programs that did not read back; plain,
    long: records stored without packing, and those among them that took two pages."""

    def __init__(self, region):
        super().__init__(region)
        self._erased = b"\xff" * (2 * region.PAGE)
        self._size = region.PAGE
        self._sector = region.SECTOR
        self.failed = 0
        self.plain = 0
        self.long = 0
        self._at = 0  # where the next slot may go in the tip
        self._near = 0  # number of the record written last to the page of _at, 0: none
        self._sample = b""  # the sealed record written last
        self._link = b""  # of it, once somebody wanted it
        self._settled = False

    def format(self):
        """Begins a ring where there is none: erases its first sector."""
        self._region.erase(0)
        self.tip.forget()
        self.turn = 0
        self.ready = False
        self.unopened = True
        self._settled = True

    def append(self, seq, kind, sealed, distances):
        """Puts a record on flash. Raises NoRoom, and then nothing was written; OSError when
        the flash does not keep what is written."""
        taf16 = form.TAF16 if kind == 16 else 0
        for _ in range(_TRIES):
            if not self._settled:
                self.settle()
            if self.unopened:
                self._begin(seq, kind, sealed)
            code, body = self._place(seq, kind, sealed)
            offset = self._at
            if self._put_slot(code | taf16, seq, distances, body):
                self.tip.put(seq, offset, taf16)
                self.newest = seq
                self._near = seq
                self._sample = sealed
                self._link = b""
                if code & 3 == form.RAW:
                    self.plain += 1
                    self.long += code & form.LONG > 0
                return
        raise OSError(errno.EIO)

    def link(self):
        """The link to the record written last, which the record behind it has to hold."""
        if not self._link:
            self._link = link_of(self._sample)
        return self._link

    def append_marks(self, acknowledged, announced):
        """Puts marks on flash without a record. Raises as `append`."""
        self.settle()
        body = acknowledged.to_bytes(4, "little") + announced.to_bytes(4, "little")
        while not self._fits(len(body), form.MARKS):
            self._advance(False)
        self._near = 0
        if not self._put_slot(form.MARKS, self.newest + 1, (form.FAR, form.FAR), body):
            raise OSError(errno.EIO)

    def _begin(self, seq, kind, sealed):
        """Readies the first header of a ring: one program with the first record, if it fits."""
        header = self.tip.header
        header.turn = header.acknowledged = header.announced = header.dropped = 0
        header.next = header.oldest = seq
        self.newest = seq - 1
        self._starts[0] = seq
        for header.statement in (learn(sealed), b""):
            header.end = form.HEADER + len(header.statement)
            self.tip.open(0)
            self._at = header.end
            body = self.tip.statement.pack(sealed, seq, kind) or sealed
            if self._fits(len(body), form.RAW):
                return
        self._page[:] = self._erased
        header.build(self._page)
        self._region.program(self.tip.index, 0, self._page_view)
        self.unopened = False

    def _place(self, seq, kind, sealed):
        """Moves to where the record fits; (code, body) as it is to be stored there."""
        longest = self._size - form.OVERHEAD
        statement = None
        packed = None
        while True:
            if self.tip.statement is not statement:
                statement = self.tip.statement
                packed = statement.pack(sealed, seq, kind)
            if packed is None or len(packed) > longest:
                code = form.RAW | (form.LONG if len(sealed) > longest else 0)
                if self._fits(len(sealed), code):
                    return code, sealed
                self._advance(code & form.LONG)
                continue
            at = self._at
            if at < self._sector:
                spare = longest - at % self._size - len(packed)
                if spare >= -LINK and self._near and self._near == seq - 1:
                    body = shortened(packed, self._link or self.link())
                    if body is not None:
                        return form.LINKED, body
                if spare >= 0:
                    return form.PACKED, packed
            self._advance(0)

    def _fits(self, size, code):
        page = self._region.PAGE
        if self._at >= self._region.SECTOR:
            return False
        if code & form.LONG and code != form.MARKS:
            return self._at % page == 0 and self._at + 2 * page <= self._region.SECTOR
        return form.OVERHEAD + size <= page - self._at % page

    def _advance(self, long):
        """To the next page or sector; a whole page that a long record passes over is killed."""
        page = self._region.PAGE
        behind = self._at - self._at % page + page
        if behind < self._region.SECTOR:
            self._at = behind
            self._near = 0
            return
        if not self.ready:
            raise NoRoom
        if long and self._at < self._region.SECTOR and self._at % page == 0:
            self._kill(self.tip.index, self._at, 0)
        self._open_next()

    def _open_next(self):
        self.turn += 1
        self.ready = False
        index = self.turn % self._region.sectors
        self.tip.load(index)
        self._starts[index] = self.newest + 1
        self._at = self.tip.header.end
        self._near = 0

    def _put_slot(self, code, number, distances, body):
        """Programs a slot at _at and reads it back; whether it is there."""
        size = self._size
        page = self._page
        window = self._window
        region = self._region
        tip = self.tip
        offset = self._at
        at = begin = offset % size
        offset -= at
        page[:] = self._erased
        end = form.build(page, at, code, number, distances, body, size, tip.header.turn)
        if self.unopened:
            tip.header.build(page)
            begin = 0
        self._settled = False
        region.program(tip.index, offset, self._page_view)
        if end > size:
            region.program(tip.index, offset + size, memoryview(page)[size:])
            region.read(tip.index, offset + size, memoryview(window)[size:])
        region.read(tip.index, offset, self._window_view)
        if window[begin:end] != page[begin:end]:
            self.failed += 1
            return False
        self.unopened = False
        self._settled = True
        self._at = tip.end = offset + end
        return True

    # -- after a start

    def settle(self):
        """Makes the place behind the newest slot safe to write. Costs programs after a start or
        a program that failed, else nothing."""
        if self._settled:
            return
        if self.unopened:
            self.format()
            return
        pages = self._pages_behind()
        doomed = self._doomed(pages)
        for index, offset, start in pages[:doomed]:
            self._kill(index, offset, start)
        self._near = 0
        self._at = self._region.SECTOR
        if doomed < len(pages):
            index, offset, start = pages[doomed]
            if index != self.tip.index:
                self._open_next()
            self._at = offset + start
        elif self.ready:
            self._open_next()
            self._at = self._region.SECTOR
        self._settled = True

    def _pages_behind(self):
        """(sector, offset, first free byte) of each page behind that of the newest slot."""
        page = self._region.PAGE
        last = self.tip.end - 1
        first = last - last % page + page
        pages = []
        for offset in range(first, self._region.SECTOR, page):
            pages.append((self.tip.index, offset, 0))
        if self.ready:
            index = (self.turn + 1) % self._region.sectors
            self.ready = self._view.load(index)
            if self.ready:
                pages.append((index, 0, self._view.header.end))
                for offset in range(page, self._region.SECTOR, page):
                    pages.append((index, offset, 0))
            self._view.forget()
        return pages

    def _doomed(self, pages):
        """How many of the pages a write may have touched: all up to the last that is not blank,
        the one behind it, and one more where that is the short first page of a sector."""
        page = self._region.PAGE
        used = 0
        for position in range(len(pages)):
            index, offset, start = pages[position]
            self._region.read(index, offset, memoryview(self._window)[:page])
            if not blank(self._window, start, page):
                used = position + 1
        return used + (2 if used < len(pages) and pages[used][2] else 1)

    def _kill(self, index, offset, start):
        size = self._region.PAGE
        self._page[:start] = self._erased[:start]
        self._page[start:size] = bytes(size - start)
        self._region.program(index, offset, memoryview(self._page)[:size])

    def pages_left(self):
        """Erased pages that are certain to take one record each."""
        pages = self._region.SECTOR // self._region.PAGE
        if self.unopened:
            return pages - 1
        if self._settled:
            free = (self._region.SECTOR - self._at) // self._region.PAGE
            return free + (pages - 1 if self.ready else 0)
        behind = self._pages_behind()
        return sum([1 for entry in behind[self._doomed(behind) :] if not entry[2]])

    # -- the next sector

    def prepare_next(self, header):
        """Erases the sector behind the tip and gives it `header` (turn and statement are set
        here). False when the flash did not keep it."""
        index = (self.turn + 1) % self._region.sectors
        if self._view.index == index:
            self._view.forget()
        self._region.erase(index)
        header.turn = self.turn + 1
        header.statement = learn(self._sample) or self.tip.header.statement
        self._page[:] = self._erased
        end = header.build(self._page)
        size = self._region.PAGE
        self._region.program(index, 0, memoryview(self._page)[:size])
        self._region.read(index, 0, memoryview(self._window)[:size])
        self.ready = self._window[:end] == self._page[:end]
        self.failed += not self.ready
        return self.ready
