"""Takes sectors of the file system's flash away from it, for good: the journal's.

A stock image formats its storage anew at a start where the file system does not fill it, so
nothing can be cut off its end. Instead littlefs is told by its own means: one file of one block
for each sector, whose block is that very sector. It never moves a file's data and never gives
its block to another, so it keeps away from there as long as the files stand.

Runs once, at flashing, before any other file is copied: `clsbench flash` sends it to the REPL.
Needs nothing but MicroPython. Writes nothing into the sectors themselves: what stands there
outlives a file system made anew.
"""

import os

import vfs  # pyright: ignore - of MicroPython

FOLDER = "/reserved"
BLOCK = 4096
_COUNT = 4  # requests of the block-device protocol
_SIZE = 5
_ERASE = 6
_BAD_BLOCK = -84  # littlefs: LFS_ERR_CORRUPT, upon which it takes another block


class Steered:
    """The storage for as long as files are laid: their data goes to the sectors in question and
    nowhere else, everything else stays away from there."""

    def __init__(self, device, first, count):
        self._device = device
        self._range = range(first, first + count)
        self.laying = False

    def readblocks(self, block, buffer, offset=0):
        if block in self._range:
            for index in range(len(buffer)):
                buffer[index] = 0xFF
        else:
            self._device.readblocks(block, buffer, offset)

    def writeblocks(self, block, buffer, offset=0):
        if block not in self._range:
            self._device.writeblocks(block, buffer, offset)

    def ioctl(self, request, argument):
        if request == _ERASE and (argument in self._range) != self.laying:
            return _BAD_BLOCK
        if request == _ERASE and self.laying:
            return 0
        return self._device.ioctl(request, argument)


def reserve(device, first, count, progsize=256):
    """Lays the files in the littlefs of `device`, mounted at "/"; sectors first .. first+count-1.

    Does nothing when they are laid; mends what was begun. Raises OSError (ENOSPC) when files
    of the file system lie there: take them off, or format it.
    """
    if is_reserved(count):
        return
    vfs.umount("/")
    try:
        steered = Steered(device, first, count)
        vfs.mount(vfs.VfsLfs2(steered, progsize=progsize), "/")
        try:
            _lay(steered, first, count)
        finally:
            vfs.umount("/")
    finally:
        vfs.mount(vfs.VfsLfs2(device, progsize=progsize), "/")
        os.chdir("/")


def is_reserved(count):
    """Whether so many files are laid."""
    return sum(1 for entry in _laid() if entry[3] == BLOCK) == count


def _lay(steered, first, count):
    for entry in list(_laid()):
        os.remove(FOLDER + "/" + entry[0])
    try:
        os.mkdir(FOLDER)
    except OSError:
        pass  # it is there
    blank = b"\xff" * BLOCK
    try:
        for number in range(first, first + count):
            with open(FOLDER + "/%d" % number, "wb") as file:
                steered.laying = True
                file.write(blank)
                steered.laying = False
    finally:
        steered.laying = False


def _laid():
    try:
        return list(os.ilistdir(FOLDER))  # pyright: ignore - of MicroPython
    except OSError:
        return []
