"""Where file system and records lie in an RP2040's or RP2350's flash, and how that comes about.

Stock MicroPython mounts a littlefs over the whole storage (`rp2.Flash()`), and makes it anew when
it finds one of another size. So room for records is made by a mount block: a littlefs over the
whole storage that holds nothing but a boot.py, so small that it lies inside the first two blocks,
and is never written again. That boot.py mounts the file system that everybody sees, which starts
behind it and ends before the records.

Knows blocks and what runs on the device; nothing of the firmware.
"""

import ast
import importlib
from collections.abc import Sequence
from typing import Any

from clsbench.device.boards import BoardFacts
from clsbench.device.repl import RawRepl
from clsbench.errors import BadInput, EnvironmentProblem

MOUNT_BLOCKS = 2  # a littlefs keeps its root in blocks 0 and 1
INLINE_MAX = 512  # bytes of a file that littlefs keeps in its directory: an eighth of a block
PROGRAM_SIZE = 256  # as stock MicroPython mounts it
READ_SIZE = 32
_ERASED = b"\xff"

_MOUNT = """\
import micropython, rp2, vfs
micropython.kbd_intr(-1)
vfs.umount("/")
try:
    vfs.mount(vfs.VfsLfs2(rp2.Flash(start={start}, len={size}), progsize={program}), "/")
except OSError:
    micropython.kbd_intr(3)
    print("file system lost, records kept. Run: clsbench flash")
else:
    try:
        with open("/boot.py") as f:
            f = f.read()
    except OSError:
        f = ""
    micropython.kbd_intr(3)
    exec(f)
"""


def mount_script(facts: BoardFacts) -> str:
    """boot.py of the mount block."""
    size = facts.block_size
    text = _MOUNT.format(
        start=MOUNT_BLOCKS * size, size=facts.fs_blocks * size, program=PROGRAM_SIZE
    )
    if len(text) > INLINE_MAX:
        raise BadInput(f"mount script of {len(text)} bytes: littlefs keeps {INLINE_MAX} inline")
    return text


def check_layout(facts: BoardFacts) -> None:
    """Raises BadInput when file system and records overlap or do not fit, with the numbers."""
    fs_end = MOUNT_BLOCKS + facts.fs_blocks
    if facts.record_start < fs_end:
        raise BadInput(
            f"boards/{facts.name}/board.toml: records start at block {facts.record_start}, "
            f"the file system ends at {fs_end}"
        )
    end = facts.record_start + facts.record_sectors + facts.settings_sectors
    if end > facts.storage_blocks:
        raise BadInput(
            f"boards/{facts.name}/board.toml: records and settings end at block {end}, "
            f"the storage at {facts.storage_blocks}"
        )


# runs on the device: whole storage anew, the mount block last, so that a power cut before it
# leaves an image that stock MicroPython makes anew
_LAY_OUT = """
import rp2, vfs
try:
    vfs.umount("/")
except OSError:
    pass
b = rp2.Flash()
if b.ioctl(4, 0) != {blocks}:
    raise ValueError("storage has %d blocks" % b.ioctl(4, 0))
i = rp2.Flash(start={start}, len={size})
vfs.VfsLfs2.mkfs(i, progsize={program})
vfs.VfsLfs2.mkfs(b, progsize={program})
vfs.mount(vfs.VfsLfs2(b, progsize={program}), "/")
with open("/boot.py", "w") as f:
    f.write({script!r})
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(i, progsize={program}), "/")
print("laid out")
"""

# runs on the device: the file system alone, behind a mount block of ours that is there already
_MAKE_FILES = """
import rp2, vfs
b = rp2.Flash()
try:
    with vfs.VfsLfs2(b, progsize={program}).open("/boot.py", "r") as f:
        f = f.read()
except OSError:
    f = ""
if f == {script!r}:
    i = rp2.Flash(start={start}, len={size})
    vfs.VfsLfs2.mkfs(i, progsize={program})
    vfs.mount(vfs.VfsLfs2(i, progsize={program}), "/")
    print("laid out")
else:
    print("other" if "rp2.Flash(start=" in f else "none")
"""

# runs on the device: block size, blocks and names of the file system at "/", writing nothing
_LOOK = """
import os
try:
    s = os.statvfs("/")
    print(s[0], s[2])
    print(repr(os.listdir("/")))
except OSError:
    print("0 0")
    print("[]")
"""

# names that a flashing by this program leaves
OURS = {"boot.py", "main.py", "slots.py", "slots", "board.mpy", "lib", "b", "config.json"}

FINE, STOCK, LOST = "fine", "stock", "lost"


def look(repl: RawRepl, facts: BoardFacts) -> tuple[str, list[str]]:
    """FINE, STOCK (the file system fills the storage) or LOST (none is mounted), and the names
    of foreign files in its root.

    Raises BadInput where the storage is laid out in a way that this program does not make: it
    would not know where records are.
    """
    numbers, names = repl.run(_LOOK).strip().splitlines()
    block_size, blocks = map(int, numbers.split())
    foreign = sorted(set(ast.literal_eval(names)) - OURS)
    if blocks == 0:
        return LOST, []
    if block_size == facts.block_size and blocks == facts.fs_blocks:
        return FINE, foreign
    if blocks == facts.storage_blocks:
        return STOCK, foreign
    raise _unknown(
        repl.port,
        f"its file system has {blocks} blocks of {block_size}; {facts.name} has "
        f"{facts.fs_blocks} beside records, a stock image {facts.storage_blocks}",
    )


def _unknown(port: str, why: str) -> BadInput:
    return BadInput(
        f"board on {port}: {why}.\n"
        "  Was it laid out by another version? Export its records, then start anew with:\n"
        f"  clsbench unflash --all --port {port}"
    )


def lay_out(repl: RawRepl, facts: BoardFacts, state: str) -> None:
    """Makes the layout after `look` said STOCK or LOST; files are gone then, records of a board
    that had the layout are not. Raises PeerRefused."""
    if state == LOST:
        answer = repl.run(_formatted(_MAKE_FILES, facts), timeout_s=60.0).strip()
        if answer == "laid out":
            return
        if answer == "other":
            raise _unknown(repl.port, "its mount block is of another version")
    repl.run(lay_out_code(facts), timeout_s=60.0)


def lay_out_code(facts: BoardFacts) -> str:
    """What makes the layout on a device, losing all files there. Prints `laid out`."""
    check_layout(facts)
    return _formatted(_LAY_OUT, facts)


def _formatted(code: str, facts: BoardFacts) -> str:
    return code.format(
        blocks=facts.storage_blocks,
        start=MOUNT_BLOCKS * facts.block_size,
        size=facts.fs_blocks * facts.block_size,
        program=PROGRAM_SIZE,
        script=mount_script(facts),
    )


def rp2_storage(facts: BoardFacts, files: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """The whole storage with these files in the file system and blank records, as flashing
    leaves it; for an emulator that starts with its flash filled.

    Raises EnvironmentProblem without littlefs-python (extra `rp2040`).
    """
    check_layout(facts)
    image = bytearray(_ERASED * (facts.block_size * facts.storage_blocks))
    outer = _littlefs(facts.storage_blocks, facts.block_size)
    with outer.open("boot.py", "wb") as file:
        file.write(mount_script(facts).encode())
    mount_size = MOUNT_BLOCKS * facts.block_size
    image[:mount_size] = bytes(outer.context.buffer)[:mount_size]
    inner = _littlefs(facts.fs_blocks, facts.block_size)
    for path, content in files:
        if "/" in path:
            inner.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        with inner.open(path, "wb") as file:
            file.write(content)
    content = bytes(inner.context.buffer)
    image[mount_size : mount_size + len(content)] = content
    return bytes(image)


def _littlefs(blocks: int, block_size: int) -> Any:
    try:
        littlefs = importlib.import_module("littlefs")  # an extra
    except ImportError as error:
        raise EnvironmentProblem(
            "littlefs-python is missing.\n  Install the extra: pip install 'clsbench[rp2040]'"
        ) from error
    return littlefs.LittleFS(
        block_size=block_size,
        block_count=blocks,
        prog_size=PROGRAM_SIZE,
        read_size=READ_SIZE,
        cache_size=4 * PROGRAM_SIZE,
        disk_version=0x00020000,
    )
