"""A host file that behaves like a NOR flash chip behind the extended block protocol.

Knows erase and program: erasing sets a sector to ones, programming turns ones into zeros
inside one page. What a chip would silently get wrong raises OSError here, so that a store
that leans on it fails in a test. Runs on MicroPython and on CPython.
"""

import errno

try:
    from vfs import VfsPosix

    def _open(path, mode):
        return VfsPosix().open(path, mode)  # the host's file, whatever is mounted here

except ImportError:

    def _open(path, mode):
        return open(path, mode, buffering=0)


_INIT = 1
_DEINIT = 2
_SYNC = 3
_SECTOR_COUNT = 4
_SECTOR_SIZE = 5
_ERASE = 6


class NorFile:
    """Flash of `sectors` x `sector_size` bytes in the file `path`, erased when new.

    `erases` and `programs` count what was done since this object was made, `erased` the erases
    of each sector, `bytes_read` what was read.
    `tear_after`: when a number, the next program puts only so many bytes on flash and
    raises OSError(EIO), as a supply that fails during the program does.
    """

    def __init__(self, path, sectors, sector_size=4096, page_size=256):
        self.sectors = sectors
        self.sector_size = sector_size
        self.page_size = page_size
        self.erases = 0
        self.programs = 0
        self.bytes_read = 0
        self.erased = [0] * sectors
        self.tear_after = None
        try:
            self._file = _open(path, "r+b")
        except OSError:
            self._file = _open(path, "w+b")
        self._fill(self._file.seek(0, 2))

    def readblocks(self, block, buf, offset=0):
        """Fills buf from byte `offset` of sector `block`; may run on into the next sector."""
        self._file.seek(self._position(block, offset, len(buf)))
        self._file.readinto(buf)
        self.bytes_read += len(buf)

    def writeblocks(self, block, buf, offset=None):
        """Programs buf at `offset` of sector `block`; without offset erases the sector first.

        Raises OSError: EINVAL when buf crosses a page boundary, EPERM when a bit would have
        to go from 0 to 1 (nothing is written then). A byte 0xFF leaves what stands there.
        """
        if offset is None:
            self._rewrite(block, buf)
            return
        position = self._position(block, offset, len(buf))
        if position % self.page_size + len(buf) > self.page_size:
            raise OSError(errno.EINVAL, "program crosses a page boundary")
        self._program(position, buf)

    def ioctl(self, request, argument):
        if request == _SECTOR_COUNT:
            return self.sectors
        if request == _SECTOR_SIZE:
            return self.sector_size
        if request == _ERASE:
            self._erase(argument)
            return 0
        if request in (_INIT, _DEINIT, _SYNC):
            return 0
        return None

    def close(self):
        self._file.close()

    def _position(self, block, offset, length):
        position = block * self.sector_size + offset
        if block < 0 or offset < 0 or position + length > self.sectors * self.sector_size:
            raise OSError(errno.EINVAL, "outside the flash")
        return position

    def _program(self, position, buf):
        page = bytearray(len(buf))
        self._file.seek(position)
        self._file.readinto(page)
        for index, byte in enumerate(buf):
            if byte != 0xFF:
                if byte & ~page[index]:
                    raise OSError(errno.EPERM, "program needs an erased bit")
                page[index] = byte
        self.programs += 1
        self._file.seek(position)
        if self.tear_after is None:
            self._file.write(page)
            return
        self._file.write(page[: self.tear_after])
        self.tear_after = None
        raise OSError(errno.EIO, "supply failed during the program")

    def _rewrite(self, block, buf):
        self._position(block, 0, len(buf))
        for sector in range(block, block + -(-len(buf) // self.sector_size)):
            self._erase(sector)
        view = memoryview(buf)
        base = block * self.sector_size
        for start in range(0, len(buf), self.page_size):
            self._program(base + start, view[start : start + self.page_size])

    def _erase(self, sector):
        # page by page: a whole sector of ones is more than a full heap has in one piece
        self._file.seek(self._position(sector, 0, self.sector_size))
        ones = b"\xff" * self.page_size
        for _ in range(self.sector_size // self.page_size):
            self._file.write(ones)
        self.erases += 1
        self.erased[sector] += 1

    def _fill(self, size):
        """Erased bytes behind what the file already holds."""
        while size < self.sectors * self.sector_size:
            piece = min(self.page_size, self.sectors * self.sector_size - size)
            self._file.write(b"\xff" * piece)
            size += piece
