"""One sector of the journal as it stands on flash: which records are where, and the records.

Knows the region, one sector at a time, and no ring. A number that appears twice counts where it
was written last: what stood before was torn, whatever it reads like now.
"""

from array import array
from hashlib import sha256

from dicamm.store import journal_slot as form
from dicamm.store.journal_pack import LINK, TAG, Statement
from dicamm.store.journal_slot import Header, Slot

_NOWHERE = 0xFFFF
_TAF16 = 0x8000  # in an entry of the table, beside the offset


def link_of(sealed):
    """The first 8 bytes of SHA-256 of a sealed record."""
    return sha256(sealed).digest()[:LINK]


class Sector:
    """region: the flash port; window: buffer of two pages, shared with others.

    After `load` or `open`: index, header, statement. start, count: numbers in the table.
    slots: whole slots, of records or marks; end: offset behind the newest one.
    highest: the highest number that slots or header show to have been given.
    given: a number past them that a damaged slot shows to have been given, or 0.
    acknowledged, announced: what the slots say, as numbers, or 0. torn: damaged slots.
    """

    def __init__(self, region, window):
        self._region = region
        self._window = window
        self._slot = Slot()
        self._table = array("H", bytes(2 * region.SECTOR // (form.OVERHEAD + 1)))
        self.header = Header()
        self.statement = Statement()
        self.forget()

    def forget(self):
        """Holds no sector."""
        self.index = -1
        self._clear()

    def _clear(self):
        self.start = 0
        self.count = 0
        self.slots = 0
        self._newest = b""
        self._newest_at = 0
        self.end = self.header.end
        self.highest = self.header.next - 1
        self.given = 0
        self._given_end = 0
        self.acknowledged = 0
        self.announced = 0
        self.torn = 0
        self.mended = 0

    def peek(self, index):
        """Reads page 0 alone; whether it begins with a header. Then see `first_number`."""
        self.forget()
        self.index = index
        self._read_page(0)
        return self.header.parse(self._window)

    def load(self, index):
        """Reads the sector up to its first blank page; whether it has a header."""
        if not self.peek(index):
            self.forget()
            return False
        self.open(index)
        self.mended = int(self.header.mended)
        self._newest = bytes(self._window[: self.header.end])
        page = self._region.PAGE
        start = 0
        at = self.header.end
        while start < self._region.SECTOR:
            if start:
                self._read_page(start)
                if at == start and blank(self._window, 0, page):
                    break
            end = self._scan_page(start, at - start)
            start += page
            at = max(start, end)
        return True

    def open(self, index):
        """Takes the sector as holding nothing but `header`."""
        self.index = index
        self.statement = Statement(self.header.statement)
        self._clear()

    def first_number(self):
        """After `peek`: the number of the first record where that is plain from page 0; else 0,
        and the sector has to be loaded."""
        if self._look(self.header.end) == form.WHOLE and self._slot.code != form.MARKS:
            return self._number()
        return 0

    def bare_header(self):
        """After `peek`: the header's bytes when nothing else is on page 0, else b""."""
        end = self.header.end
        if blank(self._window, end, self._region.PAGE):
            return bytes(self._window[:end])
        return b""

    def put(self, seq, offset, taf16):
        """Enters a record; numbers from seq on that were entered before are void."""
        if self.count == 0 or seq < self.start:
            self.start = seq
            self.count = 0
        index = seq - self.start
        if index >= len(self._table):
            return
        for gap in range(self.count, index):
            self._table[gap] = _NOWHERE
        self._table[index] = offset | (_TAF16 if taf16 else 0)
        self.count = index + 1

    def kind(self, seq):
        """16, 7, or None when the record is not here."""
        entry = self._entry(seq)
        if entry == _NOWHERE:
            return None
        return 16 if entry & _TAF16 else 7

    def read(self, seq):
        """The sealed record, or None when it is not here or no longer whole."""
        entry = self._entry(seq)
        if entry == _NOWHERE:
            return None
        page = self._region.PAGE
        offset = entry & ~_TAF16
        slot = self._slot
        self._read_page(offset - offset % page)
        if self._look(offset % page) != form.WHOLE:
            return None
        body = bytes(self._window[slot.body_at : slot.body_at + slot.size])
        packing = slot.code & 3
        if packing == form.RAW:
            return body
        link = None
        if packing == form.LINKED:
            before = self.read(seq - 1)
            if before is None:
                return None
            link = link_of(before)
        return self.statement.unpack(body, seq, 16 if entry & _TAF16 else 7, link)

    def heal(self, page):
        """After `load`: programs the newest slot again, or the header where there is none."""
        mended = self.mended > 0
        program_again(self._region, self.index, self._newest_at, self._newest, page, mended)

    def spoil(self, page):
        """Makes sure that the damaged slot of `given` stays so: the next record is not linked to
        it, so it must not read whole one day. page: a buffer."""
        size = self._region.PAGE
        at = self._given_end - 6  # its check sum; an end mark may lie on the next page
        for offset in range(at, at + 4):
            view = memoryview(page)[:size]
            page[:size] = b"\xff" * size
            page[offset % size] = 0
            self._region.program(self.index, offset - offset % size, view)

    # -- inside

    def _entry(self, seq):
        if self.start <= seq < self.start + self.count:
            return self._table[seq - self.start]
        return _NOWHERE

    def _read_page(self, offset):
        page = self._region.PAGE
        self._region.read(self.index, offset, memoryview(self._window)[:page])
        self._window[page:] = b"\xff" * page
        self._page_at = offset

    def _look(self, at):
        """Parses the slot at `at` of the page in the window, with the next page if it is long."""
        page = self._region.PAGE
        if at == 0 and self._page_at and self._page_at + page < self._region.SECTOR:
            code = self._window[0] >> 4
            if code & form.LONG and code != form.MARKS:
                view = memoryview(self._window)
                self._region.read(self.index, self._page_at + page, view[page:])
        state = self._slot.parse(self._window, at, page, self.header.turn)
        self.mended += self._slot.mended
        return state

    def _scan_page(self, start, at):
        """Takes the slots of the page in the window; returns the offset behind the last."""
        page = self._region.PAGE
        slot = self._slot
        while at + form.OVERHEAD <= page:
            state = self._look(at)
            if state == form.WHOLE:
                self._take(start + at, start + slot.end)
            elif state == form.GIVEN and slot.code != form.MARKS:
                self.given = self._number()
                self._given_end = start + slot.end
                self.torn += 1
            else:
                if state == form.BROKEN or not blank(self._window, at, page):
                    self.torn += state != form.DEAD
                break
            at = slot.end
        return start + at

    def _take(self, offset, end):
        slot = self._slot
        number = self._number()
        self.slots += 1
        self._newest_at = offset
        self._newest = bytes(self._window[slot.at : slot.end])
        self.end = end
        if self.given <= number:
            self.given = 0
        if slot.code == form.MARKS:
            self.highest = max(self.highest, number - 1)
            self.acknowledged = form.stored(self._window, slot.body_at)
            self.announced = form.stored(self._window, slot.body_at + 4)
            return
        self.highest = max(self.highest, number)
        self.put(number, offset, slot.code & form.TAF16)
        # the slot written last is right: one before it may be torn, and read whole now and then
        if slot.acknowledged != form.FAR:
            self.acknowledged = number - 1 - slot.acknowledged
        if slot.announced != form.FAR:
            self.announced = number - 1 - slot.announced

    def _number(self):
        first = self.header.next
        return first + (self._slot.number - first & 0xFFFF)


def shortened(body, link):
    """A packed body without its link, or None when that is another than `link`."""
    end = len(body) - TAG
    if body[end - LINK : end] != link:
        return None
    return body[: end - LINK] + body[end:]


def program_again(region, index, offset, data, page, mended):
    """Programs once more what stands at `offset` of a sector: a power cut may have left bits
    that read now like this, now like that. page: a buffer of one page at least. mended: data
    is not quite what reads there; a bit that became zero stays zero."""
    size = region.PAGE
    view = memoryview(page)[:size]
    while data:
        at = offset % size
        part = data[: size - at]
        if mended:
            region.read(index, offset - at, view)
            part = bytes([one & other for one, other in zip(part, view[at:])])
        page[:size] = b"\xff" * size
        page[at : at + len(part)] = part
        region.program(index, offset - at, view)
        data = data[len(part) :]
        offset += len(part)


def blank(data, start, end):
    """Whether data[start:end] reads as erased."""
    return data[start:end] == b"\xff" * (end - start)
