"""A NOR flash in memory whose power fails when the rig says so. For MicroPython and CPython.

Behind the port of drivers.flash.FlashRegion. Programming turns ones into zeros, whole pages at a
time; erasing sets a sector to ones; what a chip would silently get wrong raises. After a cut some
bits are unstable: they read as one or zero, anew with every read, until they are programmed or
erased for good.
"""

SECTOR = 4096
PAGE = 256

# how a cut leaves what was being done
PREFIX = 0  # done up to a byte, that byte torn, the rest untouched
SCATTER = 1  # every bit done, unstable or untouched, by chance that grows with the byte
ZEROS = 2  # erase only: chips program a sector to zeros before they erase it
WEAK = 3  # done, but for a few bits that are unstable
BARELY = 4  # nothing done, but for a few bits that are unstable
MODES = (PREFIX, SCATTER, WEAK, BARELY)

PROGRAM = 0
ERASE = 1


class Rng:
    """Small, the same on both interpreters."""

    def __init__(self, seed):
        self._state = (seed * 2654435761 + 12345) & 0x7FFFFFFF

    def below(self, limit):
        """0 .. limit - 1."""
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 8) % limit

    def byte(self):
        """0 .. 255."""
        return self.below(256)

    def bytes(self, size):
        """So many."""
        return bytes([self.byte() for _ in range(size)])


class PowerCut(Exception):
    """The supply failed during a program or an erase."""


class NorModel:
    """`sectors` sectors. before: called with (model, operation, address, data) before each program
    and erase, data b"" for an erase. erases: per sector. reads: bytes read."""

    SECTOR = SECTOR
    PAGE = PAGE

    def __init__(self, sectors, seed=1, data=None):
        self.sectors = sectors
        self.data = bytearray(data or b"\xff" * (sectors * SECTOR))
        self.noise = {}  # page number -> mask of its unstable bits
        self.rng = Rng(seed)
        self.before = None
        self.programs = 0
        self.erases = [0] * sectors
        self.reads = 0

    def copy(self, seed):
        """The same flash, to be torn and looked at; what is done to it is not told to `before`."""
        twin = NorModel(self.sectors, seed, self.data)
        for page in self.noise:
            twin.noise[page] = bytearray(self.noise[page])
        return twin

    # -- the flash port

    def read(self, sector, offset, buffer):
        """Fills buffer, which ends inside the sector."""
        size = len(buffer)
        assert 0 <= sector < self.sectors and offset >= 0 and offset + size <= SECTOR, "outside"
        address = sector * SECTOR + offset
        buffer[:] = self.data[address : address + size]
        self.reads += size
        if self.noise:
            for page in range(address // PAGE, (address + size - 1) // PAGE + 1):
                if page in self.noise:
                    self._flicker(page, address, buffer)

    def program(self, sector, offset, page):
        """Programs one whole page."""
        assert len(page) == PAGE and offset % PAGE == 0 and 0 <= offset < SECTOR, "no whole page"
        assert 0 <= sector < self.sectors, "outside"
        address = sector * SECTOR + offset
        if self.before:
            self.before(self, PROGRAM, address, bytes(page))
        self.programs += 1
        self.program_part(address, page, PAGE)

    def erase(self, sector):
        """Erases one sector."""
        assert 0 <= sector < self.sectors, "outside"
        if self.before:
            self.before(self, ERASE, sector * SECTOR, b"")
        self.erases[sector] += 1
        self.erase_part(sector * SECTOR, SECTOR)

    # -- what the supply got done

    def program_part(self, address, page, size):
        """Programs the first `size` bytes of a page for good."""
        noise = self.noise.get(address // PAGE)
        data = self.data
        for index in range(size):
            byte = page[index]
            if byte == 0xFF:
                continue
            at = address + index
            loose = noise[index] if noise else 0
            assert not byte & ~data[at] & ~loose & 0xFF, "a zero cannot become a one"
            data[at] &= byte
            if loose:
                noise[index] = loose & byte

    def erase_part(self, address, size):
        """Erases the first `size` bytes of a sector for good."""
        self.data[address : address + size] = b"\xff" * size
        self.settle(address, size)

    def settle(self, address, size):
        """No bit of this range is unstable any more."""
        for page in range(address // PAGE, (address + size + PAGE - 1) // PAGE):
            if page in self.noise:
                mask = self.noise[page]
                for index in range(PAGE):
                    if address <= page * PAGE + index < address + size:
                        mask[index] = 0

    def tear(self, operation, address, data, byte, mode):
        """Leaves the flash as a cut at `byte` of the operation does."""
        if mode == SCATTER:
            self._scatter(operation, address, data, byte)
        elif mode in (WEAK, BARELY):
            self._few(operation, address, data, mode)
        elif operation == PROGRAM:
            self.program_part(address, data, byte)
            self._tear_byte(address + byte, self.data[address + byte] & ~data[byte])
        elif mode == ZEROS:
            self.data[address : address + byte] = bytes(byte)
            self.settle(address, byte)
            self._tear_byte(address + byte, self.data[address + byte])
        else:
            self.erase_part(address, byte)
            self._tear_byte(address + byte, ~self.data[address + byte] & 0xFF)

    def _scatter(self, operation, address, data, byte):
        """A cut of many bits at once: the later, the more of them are done."""
        size = SECTOR if operation == ERASE else PAGE
        sixteenths = byte * 16 // size
        for index in range(size):
            standing = self.data[address + index]
            changing = ~standing & 0xFF if operation == ERASE else standing & ~data[index]
            if changing:
                bits = self.rng.byte()
                other = self.rng.byte()
                late = self.rng.below(16) < sixteenths
                self._tear_byte(address + index, changing, bits | other if late else bits & other)

    def _few(self, operation, address, data, mode):
        """Leaves one to four of the bits that were to change unstable, the others all done, or
        all as they were."""
        size = SECTOR if operation == ERASE else PAGE
        loose = []
        for _ in range(64):
            index = self.rng.below(size)
            bit = 1 << self.rng.below(8)
            standing = self.data[address + index]
            changing = ~standing & 0xFF if operation == ERASE else standing & ~data[index]
            if changing & bit:
                loose.append((address + index, bit))
            if len(loose) > self.rng.below(4):
                break
        if mode == WEAK:
            before = [self.data[at] for at, _ in loose]
            if operation == ERASE:
                self.erase_part(address, SECTOR)
            else:
                self.program_part(address, data, PAGE)
            for place, standing in zip(loose, before):
                at, bit = place
                self.data[at] = self.data[at] & ~bit | standing & bit
        for at, bit in loose:
            self._loosen(at, bit)

    def _tear_byte(self, at, changing, chance=0xFF):
        """Of the bits that were to change some do, some are unstable, some are as they were."""
        done = changing & self.rng.byte() & chance
        self.data[at] ^= done
        self._loosen(at, changing & ~done & self.rng.byte())

    def _loosen(self, at, loose):
        if loose:
            page = at // PAGE
            if page not in self.noise:
                self.noise[page] = bytearray(PAGE)
            self.noise[page][at % PAGE] |= loose

    def _flicker(self, page, address, buffer):
        mask = self.noise[page]
        first = page * PAGE
        used = False
        for index in range(PAGE):
            if mask[index]:
                used = True
                at = first + index - address
                if 0 <= at < len(buffer):
                    buffer[at] ^= mask[index] & self.rng.byte()
        if not used:
            del self.noise[page]
