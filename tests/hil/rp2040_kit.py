"""For tests of the emulated Pico's own: the image, code compiled for it, where time went."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from clsbench.device.build import compile_file
from clsbench.hil.board import DeviceFile, Edge
from clsbench.hil.rp2040.wire import HEARD, SENT
from clsbench.paths import firmware_dir

UF2 = os.environ.get("CLSBENCH_UF2", "")
ARCH = "armv6m"
ENABLE = 5  # pin of the driver-enable

needs_image = pytest.mark.skipif(not UF2, reason="no MicroPython image of a Pico: CLSBENCH_UF2")


def compiled(*modules: str) -> list[DeviceFile]:
    """Modules and packages of the firmware (`dicamm.proto`: all of it), compiled for the chip."""
    source = firmware_dir()
    files = []
    for module in modules:
        path = source / module.replace(".", "/")
        paths = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        files += [(_place(each.relative_to(source)), _code(each)) for each in paths]
    return files


def compiled_test(path: Path) -> DeviceFile:
    """A file of tests, importable on the chip by its name."""
    return f"lib/{path.stem}.mpy", _code(path)


def _place(path: Path) -> str:
    return f"lib/{path.with_suffix('.mpy').as_posix()}"


def _code(path: Path) -> bytes:
    return compile_file(path, path.name, ARCH)


def frames(trace: Sequence[tuple[float, float, str, int]]) -> list[tuple[float, float, float]]:
    """Of each frame of the chip that was answered: begin and end, and when the answer began."""
    found = []
    begin = end = 0.0
    sending = False
    for begin_s, end_s, who, _ in trace:
        if who == SENT:
            begin = begin if sending else begin_s
            end, sending = end_s, True
        elif who == HEARD and sending:
            found.append((begin, end, begin_s))
            sending = False
    return found


def high_times(edges: Sequence[Edge]) -> list[tuple[float, float]]:
    """When a pin rose and fell again, pair by pair."""
    rises = [when for when, level in edges if level]
    falls = [when for when, level in edges if not level]
    return list(zip(rises, falls, strict=False))
