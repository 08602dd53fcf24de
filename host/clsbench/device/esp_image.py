"""An ESP32's MicroPython image with a partition for records, put on by esptool.

The image that upstream ships holds boot loader, partition table and application in one file. Its
table is changed before it is written: `vfs`, the last partition, becomes shorter, and a data
partition `dicamm` takes the end of it. Written over a board that has that table already, files and
records stay; any other board is erased, which has to be agreed to.

Source of the formats: ESP-IDF programming guide, chapters Partition Tables and Application Image.
"""

import hashlib
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clsbench.device.boards import KIB, BoardFacts
from clsbench.errors import BadInput, EnvironmentProblem

TABLE_AT = 0x8000  # of the flash
TABLE_SIZE = 0xC00
PARTITION = "dicamm"
_DATA = 0x01
_SUBTYPE = 0x40  # of no meaning to ESP-IDF: nothing mounts it
_FILES = ("vfs", "ffat")
_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"
_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
_IMAGE_MAGIC = 0xE9
# where the first-stage boot loader of a chip looks, which is where an image begins
BEGIN = {"ESP32": 0x1000, "ESP32-S2": 0x1000, "ESP32-S3": 0x0, "ESP32-C3": 0x0}
_TIMEOUT_S = 300.0

Run = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Partition:
    """One entry; offset and size in bytes of the flash."""

    kind: int
    subtype: int
    offset: int
    size: int
    name: str
    flags: int = 0

    def pack(self) -> bytes:
        """32 bytes."""
        name = self.name.encode().ljust(16, b"\0")
        return _ENTRY.pack(
            _MAGIC, self.kind, self.subtype, self.offset, self.size, name, self.flags
        )


def read_table(data: bytes) -> list[Partition]:
    """The partitions of a table. Raises BadInput for one that is damaged or is none."""
    found: list[Partition] = []
    for at in range(0, len(data) - 31, 32):
        entry = data[at : at + 32]
        if entry[:16] == _MD5_MAGIC:
            if entry[16:] != hashlib.md5(data[:at], usedforsecurity=False).digest():
                raise BadInput("partition table: its checksum does not hold")
            return found
        if entry[:2] != _MAGIC:
            break
        _, kind, subtype, offset, size, name, flags = _ENTRY.unpack(entry)
        text = name.rstrip(b"\0").decode("ascii", "replace")
        found.append(Partition(kind, subtype, offset, size, text, flags))
    if not found:
        raise BadInput("no partition table")
    return found


def write_table(partitions: Sequence[Partition]) -> bytes:
    """A table with its checksum, filled up with ones."""
    entries = b"".join(each.pack() for each in partitions)
    digest = hashlib.md5(entries, usedforsecurity=False).digest()
    return (entries + _MD5_MAGIC + digest).ljust(TABLE_SIZE, b"\xff")


def with_records(partitions: Sequence[Partition], size: int, flash_size: int) -> list[Partition]:
    """The table with `size` bytes for records, taken from the end of the file system's partition.

    Raises BadInput where that is not the last one, too small, or ends outside the flash.
    """
    last = max(partitions, key=lambda each: each.offset)
    if last.name == PARTITION and last.size == size:
        return list(partitions)
    if last.name not in _FILES or last.kind != _DATA:
        raise BadInput(f"partition table: the last partition is '{last.name}', not the files'")
    if last.offset + last.size > flash_size:
        raise BadInput(
            f"partition table: ends at {(last.offset + last.size) // KIB} KiB, the flash at "
            f"{flash_size // KIB} KiB: an image for a smaller flash is needed"
        )
    if last.size < 2 * size:
        raise BadInput(
            f"partition table: '{last.name}' has {last.size // KIB} KiB, records {size // KIB}"
        )
    files = replace(last, size=last.size - size)
    records = Partition(_DATA, _SUBTYPE, files.offset + files.size, size, PARTITION)
    return [each for each in partitions if each != last] + [files, records]


def patched(image: bytes, facts: BoardFacts, name: str) -> bytes:
    """The image with room for records. Raises BadInput for one that is not for this chip."""
    begin = _begin(facts)
    at = TABLE_AT - begin
    if not image or image[0] != _IMAGE_MAGIC or len(image) < at + TABLE_SIZE:
        raise BadInput(f"{name}: no image of an ESP32 with boot loader and partition table")
    table = read_table(image[at : at + TABLE_SIZE])
    size = (facts.record_sectors + facts.settings_sectors) * facts.block_size
    fresh = write_table(with_records(table, size, facts.flash_kib * KIB))
    return image[:at] + fresh + image[at + TABLE_SIZE :]


def put(
    file: Path, port: str, facts: BoardFacts, erase: bool, dry_run: bool, run: Run | None = None
) -> str:
    """Writes the image; what was done. run: runs esptool with arguments."""
    tool = run or _esptool
    image = patched(file.read_bytes(), facts, file.name)
    base = ["--chip", facts.chip.lower().replace("-", ""), "--port", port]
    begin = _begin(facts)
    table = image[TABLE_AT - begin :][:TABLE_SIZE]
    with tempfile.TemporaryDirectory(prefix="clsbench-image-") as folder:
        there = Path(folder) / "table.bin"
        tool([*base, "read_flash", hex(TABLE_AT), hex(TABLE_SIZE), str(there)])
        kept = there.read_bytes() == table
        if not kept and not erase:
            raise BadInput(
                f"board on {port} has another partition table: all of its flash has to be "
                "erased, records too.\n  Save them, then agree: --erase"
            )
        what = "files and records stay" if kept else "all else erased"
        if dry_run:
            return f"would write {file.name} to {facts.title} on {port}, {what}"
        whole = Path(folder) / "image.bin"
        whole.write_bytes(image)
        all_of_it = [] if kept else ["--erase-all"]
        tool([*base, "write_flash", *all_of_it, hex(begin), str(whole)])
    return f"{file.name} written to {facts.title} on {port}, {what}"


def _begin(facts: BoardFacts) -> int:
    if facts.chip not in BEGIN:
        raise BadInput(f"{facts.title}: {facts.chip} takes no .bin image")
    return BEGIN[facts.chip]


def _esptool(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "esptool", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentProblem(f"esptool does not run: {error}") from error
    if "No module named esptool" in done.stderr:
        raise EnvironmentProblem(
            "esptool is missing.\n  Install the extra: pip install 'clsbench[esp32]'"
        )
    if done.returncode:
        words = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-4:])
        raise EnvironmentProblem(
            f"esptool failed:\n  {words}\n  Hold BOOT while the board resets, then try again."
        )
