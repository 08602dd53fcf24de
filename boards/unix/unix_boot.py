"""First script of the unix board's interpreter: makes a process start as a board does.

`micropython -X heapsize=384k -i unix_boot.py`. HIL_FLASH names the littlefs image that
becomes "/", HIL_SHIM the host folder that becomes /shim. Then boot.py and main.py run as
on a board; HIL_NO_MAIN leaves main.py out, as a soft reset from the raw REPL does.
Tells the bench `boot` over HIL_GPIO when it is ready for console input.
"""

import os
import sys

import vfs


class _FlashFile:
    """littlefs blocks in a host file; no branch in any path, so that Ctrl-C tears none."""

    def __init__(self, host, path, block_size, blocks):
        try:
            self._file = host.open(path, "r+b")
        except OSError:
            self._file = host.open(path, "w+b")
            for _ in range(blocks):
                self._file.write(b"\xff" * block_size)
        self._size = block_size
        self._requests = {1: 0, 2: 0, 3: 0, 4: blocks, 5: block_size}

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * self._size + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self._file.seek(block * self._size + offset)
        self._file.write(buf)

    def ioctl(self, request, argument):
        return self._requests.get(request, 0)  # 6, erase: littlefs needs no known content


def _mount():
    host = vfs.VfsPosix()
    blocks = int(os.getenv("HIL_FLASH_BLOCKS") or 352)
    flash = _FlashFile(host, os.getenv("HIL_FLASH"), 4096, blocks)
    try:
        root = vfs.VfsLfs2(flash)
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        root = vfs.VfsLfs2(flash)
    shim = vfs.VfsPosix(os.getenv("HIL_SHIM"))
    vfs.umount("/")
    vfs.mount(root, "/")
    vfs.mount(shim, "/shim")
    sys.path[:] = ["/shim", "", "/lib", ".frozen"]
    os.chdir("/")
    gpio = os.getenv("HIL_GPIO")
    if gpio:
        with host.open(gpio, "r+b") as bench:
            bench.write("boot\n")


def _scripts():
    names = ("boot.py",) if os.getenv("HIL_NO_MAIN") else ("boot.py", "main.py")
    present = os.listdir()
    return [name for name in names if name in present]


_mount()
for _script in _scripts():
    try:
        with open(_script) as _source:
            _code = compile(_source.read(), _script, "exec")
        exec(_code)
    except KeyboardInterrupt as _error:
        sys.print_exception(_error)
        break
    except Exception as _error:  # noqa: BLE001 (a board prints what ends its script)
        sys.print_exception(_error)
