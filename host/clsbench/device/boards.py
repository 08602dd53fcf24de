"""What boards/*/board.toml says of a board, and which board a MicroPython image says it is.

Knows facts; talks to no board.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from clsbench.errors import BadInput
from clsbench.paths import boards_dir

KIB = 1024

# low six bits of sys.implementation._mpy >> 10, as tools/mpy-tool.py of MicroPython numbers them
ARCHITECTURES = (
    "",
    "x86",
    "x64",
    "armv6",
    "armv6m",
    "armv7m",
    "armv7em",
    "armv7emsp",
    "armv7emdp",
    "xtensa",
    "xtensawin",
    "rv32imc",
    "rv64imc",
)
OLDEST = (1, 24)  # of MicroPython


@dataclass(frozen=True)
class BoardFacts:
    """One board.toml. Blocks and sectors count from the begin of what the board calls its storage.

    port: MicroPython's name of the port (unix, rp2, esp32). machine: beginnings of
    `sys.implementation._machine` of images for it; image: such an image's name. storage_blocks: 0
    where the records are not cut out of one storage. mpy_kib: all bytecode together, at most;
    heap_free_kib: after boot, at least; 0: no limit.
    """

    name: str
    title: str
    kind: str
    port: str
    chip: str
    machine: tuple[str, ...]
    image: str
    arch: str
    network: bool
    tls: bool
    flash_kib: int
    storage_blocks: int
    block_size: int
    fs_blocks: int
    record_start: int
    record_sectors: int
    settings_sectors: int
    mpy_kib: int
    heap_free_kib: int
    pins: dict[str, int]
    uarts: dict[str, int]

    @property
    def word_size(self) -> int:
        """Bytes of a word, of which the interpreter's objects are made."""
        return 8 if "64" in self.arch else 4


@cache
def board_facts(name: str) -> BoardFacts:
    """Raises BadInput for an unknown board or a key that is missing."""
    path = boards_dir() / name / "board.toml"
    if not path.is_file():
        raise BadInput(f"board '{name}' is unknown: no {path}. Known: {', '.join(board_names())}")
    try:
        return _facts(name, tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: {_words(error)}") from error


def _words(error: Exception) -> str:
    return f"key {error} is missing" if isinstance(error, KeyError) else str(error)


def _facts(name: str, document: dict[str, Any]) -> BoardFacts:
    if "arch" not in document.get("mpy", {}):
        raise TypeError("no [mpy] arch")
    chip, has, flash = document["chip"], document["has"], document.get("flash", {})
    littlefs, records = document["littlefs"], document["record_flash"]
    limits = document.get("limits", {})
    block_size = littlefs["block_size"]
    storage = flash["size_kib"] * KIB - flash["storage_start"] if "storage_start" in flash else 0
    return BoardFacts(
        name=name,
        title=document["title"],
        kind=document["kind"],
        port=chip["port"],
        chip=chip["name"],
        machine=tuple(chip["machine"]),
        image=chip["image"],
        arch=document["mpy"]["arch"],
        network=has["network"],
        tls=has["tls"],
        flash_kib=flash.get("size_kib", 0),
        storage_blocks=storage // block_size,
        block_size=block_size,
        fs_blocks=littlefs["blocks"],
        record_start=records.get("first_sector", 0),
        record_sectors=records["sectors"],
        settings_sectors=records["settings_sectors"],
        mpy_kib=limits.get("mpy_kib", 0),
        heap_free_kib=limits.get("heap_free_kib", 0),
        pins=document.get("pins", {}),
        uarts=document.get("uarts", {}),
    )


def board_names() -> list[str]:
    """The boards this program knows."""
    return sorted(path.parent.name for path in boards_dir().glob("*/board.toml"))


def board_folder(name: str) -> Path:
    """Its folder in boards/."""
    return boards_dir() / name


def matching(port: str, machine: str) -> list[str]:
    """Boards whose images say this of themselves, the closest first.

    port: sys.platform, where the unix port says linux or darwin; machine: what the image says in
    sys.implementation._machine.
    """
    found = []
    for name in board_names():
        facts = board_facts(name)
        same_port = facts.port == port or (facts.port == "unix" and port in ("linux", "darwin"))
        fits = [text for text in facts.machine if machine.startswith(text)]
        if same_port and fits:
            found.append((max(map(len, fits)), name))
    return [name for _, name in sorted(found, reverse=True)]


def architecture(mpy: int) -> str:
    """mpy-cross's name of the architecture in sys.implementation._mpy; "" for an unknown."""
    number = mpy >> 10 & 0x3F
    return ARCHITECTURES[number] if number < len(ARCHITECTURES) else ""
