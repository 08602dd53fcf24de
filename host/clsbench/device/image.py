"""Puts MicroPython itself on a board: UF2 by the drive its boot ROM shows, ESP32 by esptool.

Knows files, drives and esptool's command line. Reads an image before anything is written, so that
one for another chip is refused.
"""

import os
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from clsbench.device import esp_image
from clsbench.device.boards import BoardFacts, board_facts
from clsbench.device.repl import RawRepl
from clsbench.errors import BadInput, EnvironmentProblem

_UF2_BLOCK = 512
_UF2_BEGIN = struct.Struct("<8I")
_UF2_MAGIC = (0x0A324655, 0x9E5D5157)
_UF2_END = 0x0AB16F30
_FAMILY_PRESENT = 0x2000
# https://github.com/microsoft/uf2/blob/master/utils/uf2families.json
FAMILIES = {0xE48BFF56: "RP2040", 0xE48BFF59: "RP2350", 0xE48BFF5A: "RP2350 (RISC-V)"}
_ABSOLUTE = 0xE48BFF57  # a block that RP2350 images begin with, for no family
_INFO = "INFO_UF2.TXT"  # on every UF2 drive
_BOARD_IDS = {"RPI-RP2": "RP2040", "RP2350": "RP2350"}
_PLACES = ("/media", "/run/media", "/mnt", "/Volumes")
_DRIVE_S = 15.0
_LOOK_S = 0.25


def put(
    file: Path,
    port: str | None,
    board: str | None,
    drive: Path | None,
    erase: bool,
    dry_run: bool,
) -> dict[str, Any]:
    """Puts an image on; what was done as {"done": text, "next": lines}.

    Raises BadInput for a file that is no image, or none for this board; EnvironmentProblem when
    there is no drive, no esptool.
    """
    facts = board_facts(board) if board else None
    if file.suffix.lower() == ".uf2":
        return _put_uf2(file, port, facts, drive, dry_run)
    if file.suffix.lower() == ".bin":
        if port is None or facts is None:
            raise BadInput(f"{file}: an ESP32 image needs --port PORT and --board BOARD")
        done = esp_image.put(file, port, facts, erase, dry_run)
        return {"done": done, "next": [f"now: clsbench flash --port {port}"]}
    raise BadInput(f"{file}: no image that this program knows: .uf2 or .bin")


# -- UF2


def chip_of_uf2(data: bytes, name: str) -> str:
    """The chip that a UF2 file is for. Raises BadInput for a file that is damaged or for none
    that is known.

    Source: github.com/microsoft/uf2, file format.
    """
    if not data or len(data) % _UF2_BLOCK:
        raise BadInput(f"{name}: {len(data)} bytes are no whole number of UF2 blocks")
    chips: set[str] = set()
    for at in range(0, len(data), _UF2_BLOCK):
        begin = _UF2_BEGIN.unpack_from(data, at)
        end = struct.unpack_from("<I", data, at + _UF2_BLOCK - 4)[0]
        if begin[:2] != _UF2_MAGIC or end != _UF2_END or begin[4] > 476:
            raise BadInput(f"{name}: block {at // _UF2_BLOCK} is no UF2 block: fetch it again")
        family = begin[7] if begin[2] & _FAMILY_PRESENT else 0
        if family != _ABSOLUTE:
            chips.add(FAMILIES.get(family, f"family {family:#x}"))
    if len(chips) != 1 or not chips <= set(FAMILIES.values()):
        raise BadInput(f"{name}: is for {', '.join(sorted(chips))}, not for RP2040 or RP2350")
    return chips.pop()


def _put_uf2(
    file: Path, port: str | None, facts: BoardFacts | None, drive: Path | None, dry_run: bool
) -> dict[str, Any]:
    data = file.read_bytes()
    chip = chip_of_uf2(data, file.name)
    if facts is not None and facts.chip != chip:
        raise BadInput(f"{file}: is for {chip}; {facts.title} has {facts.chip}")
    if port is not None and not dry_run:
        _into_boot_rom(port)
    target = drive or _wait_for(lambda: find_drive(chip), 0.0 if port is None else _DRIVE_S)
    if target is None:
        raise EnvironmentProblem(
            f"no drive of a {chip} in its boot ROM.\n"
            "  Hold BOOTSEL while you plug the board in: it appears. Or name it: --drive DIR"
        )
    found = chip_of_drive(target)
    if found != chip:
        raise BadInput(f"{target}: drive of {found or 'no UF2 board'}; {file} is for {chip}")
    if dry_run:
        return {"done": f"would copy {file.name} to {target}", "next": []}
    _copy(data, target / file.name)
    return {
        "done": f"{file.name} copied to {target}: {len(data) // _UF2_BLOCK} blocks for {chip}",
        "next": ["the board restarts into it; now: clsbench flash --port PORT"],
    }


def _into_boot_rom(port: str) -> None:
    with RawRepl(port) as repl:
        repl.enter(soft_reset=False)
        repl.start("import machine\nmachine.bootloader()")


def find_drive(chip: str, places: Iterable[str] = _PLACES) -> Path | None:
    """Where the drive of a chip in its boot ROM is mounted, or None."""
    for place in places:
        for depth in ("*", "*/*"):
            for folder in sorted(Path(place).glob(depth)):
                if chip_of_drive(folder) == chip:
                    return folder
    return None


def chip_of_drive(folder: Path) -> str:
    """RP2040 or RP2350 of a UF2 drive, by its INFO_UF2.TXT; "" for anything else."""
    try:
        text = (folder / _INFO).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    identity = [line.partition(":")[2].strip() for line in text.splitlines() if "Board-ID" in line]
    return _BOARD_IDS.get(identity[0], "") if identity else ""


def _copy(data: bytes, target: Path) -> None:
    try:
        with target.open("wb") as file:
            for at in range(0, len(data), 65536):
                file.write(data[at : at + 65536])
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if not target.parent.is_dir() or not (target.parent / _INFO).exists():
            return  # the board took the last block and went: that is its ordinary end
        raise EnvironmentProblem(
            f"{target}: cannot be written ({error.strerror}). Is the drive writable?"
        ) from error


def _wait_for(look: Callable[[], Path | None], seconds: float) -> Path | None:
    end = time.monotonic() + seconds
    while (found := look()) is None and time.monotonic() < end:
        time.sleep(_LOOK_S)
    return found
