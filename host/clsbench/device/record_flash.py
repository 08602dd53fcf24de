"""The record flash of a board as it is: fetched, read, carried over to the layout of today.

For a device whose firmware refuses the journal it finds. Goes through stock mpremote, so that no
firmware has to run; reads images with the journal's own code, so that there is no second idea of
what a layout means.
"""

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path

from clsbench.device.flash import mpremote
from clsbench.errors import BadInput, PeerRefused
from dicamm.store import journal_layout1
from dicamm.store.journal import Journal, JournalFull, LayoutError

PAGE = 256
SECTOR = 4096
ERASED = b"\xff"
LAYOUT = 2  # what this firmware writes

_FETCH = """
import board, binascii
r = board.record_flash()
b = bytearray(r.PAGE)
print("sectors", r.sectors)
for s in range(r.sectors):
    for o in range(0, r.SECTOR, r.PAGE):
        r.read(s, o, b)
        if b != b"\\xff" * r.PAGE:
            print("page", s, o, binascii.b2a_base64(b).decode().strip())
print("end")
"""

_PUT = """
import board, os
r = board.record_flash()
for s in range(r.sectors):
    r.erase(s)
with open("/records.new", "rb") as f:
    while True:
        h = f.read(4)
        if not h:
            break
        n = int.from_bytes(h, "little")
        r.program(n // (r.SECTOR // r.PAGE), n % (r.SECTOR // r.PAGE) * r.PAGE, f.read(r.PAGE))
os.remove("/records.new")
print("done")
"""


class Image:
    """An image as the journal sees a flash region; what is written stays in memory."""

    SECTOR = SECTOR
    PAGE = PAGE

    def __init__(self, data: bytes):
        if not data or len(data) % SECTOR:
            raise BadInput(f"image of {len(data)} bytes: not a whole number of {SECTOR}")
        self.data = bytearray(data)
        self.sectors = len(data) // SECTOR

    def read(self, sector: int, offset: int, buffer: bytearray) -> None:
        """Fills `buffer`."""
        at = sector * SECTOR + offset
        buffer[:] = self.data[at : at + len(buffer)]

    def program(self, sector: int, offset: int, page: bytes) -> None:
        """Turns ones into zeros."""
        at = sector * SECTOR + offset
        both = zip(self.data[at : at + PAGE], page, strict=True)
        self.data[at : at + PAGE] = bytes(old & new for old, new in both)

    def erase(self, sector: int) -> None:
        """Sets a sector to ones."""
        self.data[sector * SECTOR : (sector + 1) * SECTOR] = ERASED * SECTOR


@dataclass(frozen=True)
class Content:
    """layout: 0 for a blank region; records: (number, sealed), rising; None where the layout is
    unknown here."""

    layout: int
    records: list[tuple[int, bytes]] | None


def fetch(port: str) -> bytes:
    """The whole record flash of the board on `port`; its firmware is stopped, then started again.

    Raises what `clsbench.device.flash.mpremote` raises, and PeerRefused for half an answer.
    """
    answer = mpremote(port, "exec", _FETCH, "+", "reset").split()
    if "sectors" not in answer or "end" not in answer:
        raise PeerRefused(f"board on {port}: its record flash was not read to the end")
    image = Image(ERASED * SECTOR * int(answer[answer.index("sectors") + 1]))
    for at, word in enumerate(answer):
        if word == "page":
            sector, offset, text = answer[at + 1 : at + 4]
            image.program(int(sector), int(offset), base64.b64decode(text))
    return bytes(image.data)


def content(data: bytes) -> Content:
    """What an image holds. Raises BadInput for one that is no region."""
    image = Image(data)
    try:
        journal = Journal(image)
    except LayoutError as error:
        layout = error.args[0]
        if layout != 1:
            return Content(layout, None)
        known = journal_layout1.records(image)
        return Content(1, [(seq, sealed) for seq, _, _, _, sealed in known])
    numbers = range(max(journal.oldest, 1), journal.newest + 1)
    found = [(seq, journal.read(seq)) for seq in numbers]
    records = [(seq, sealed) for seq, sealed in found if sealed is not None]
    return Content(LAYOUT if journal.newest else 0, records)


def converted(data: bytes) -> bytes:
    """An image of layout 1 as one of today's layout: same numbers, records and marks.

    Raises BadInput for another layout, or when the unacknowledged records do not fit.
    """
    old = Image(data)
    if content(data).layout != 1:
        raise BadInput("--convert: only records of layout 1 have to be, and can be, converted")
    new = Image(ERASED * len(data))
    try:
        journal_layout1.convert(old, Journal(new))
    except JournalFull as error:
        raise BadInput(
            "the records nobody has acknowledged do not fit: the image is saved, deliver from it"
        ) from error
    return bytes(new.data)


def put(port: str, data: bytes) -> None:
    """Writes a whole image to the record flash of the board on `port`, and starts it again."""
    pages = b"".join(
        (at // PAGE).to_bytes(4, "little") + data[at : at + PAGE]
        for at in range(0, len(data), PAGE)
        if data[at : at + PAGE] != ERASED * PAGE
    )
    with tempfile.TemporaryDirectory(prefix="clsbench-records-") as stage:
        (Path(stage) / "records.new").write_bytes(pages)
        words = mpremote(
            port, "fs", "cp", "records.new", ":/records.new", "+", "exec", _PUT, cwd=stage
        )
    if "done" not in words:
        raise PeerRefused(f"board on {port}: its record flash was not written to the end")
    mpremote(port, "reset")
