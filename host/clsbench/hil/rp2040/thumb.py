"""Runs the emulated RP2040's instructions in C where a C compiler is at hand.

rp2040py's loop makes some 4 million instructions a second, most of it looking methods up. The
core in `thumb.c` takes the instructions that touch nothing but memory, on rp2040py's own arrays;
alarms, interrupts, peripherals and sleep stay rp2040py's, and so does time: cycles are counted
alike. Without a compiler, or with CLSBENCH_THUMB=0, rp2040py's loop runs alone.
"""

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

from rp2040py.simulator import Simulator

SOURCE = Path(__file__).with_name("thumb.c")
SWITCH = "CLSBENCH_THUMB"  # "0": not to be used
_FLAGS = ("-O2", "-shared", "-fPIC")
_CYCLE_NS = 8.0  # rp2040py's chip runs at 125 MHz
_MOST_CYCLES = 1_000_000  # in one go, where no alarm is set
_N, _Z, _C, _V = 31, 30, 29, 28  # bits of the APSR


class _State(ctypes.Structure):
    """`struct thumb`."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("r", "flash", "sram", "rom")),
        *((name, ctypes.c_uint32) for name in ("flash_size", "sram_size", "rom_size")),
        *((name, ctypes.c_uint32) for name in ("n", "z", "c", "v", "slow")),
        *((name, ctypes.c_uint32) for name in ("dividend", "divisor")),
        *((name, ctypes.c_uint32) for name in ("quotient", "remainder", "csr")),
        ("instructions", ctypes.c_uint64),
    )


class ThumbCore:
    """Takes the place of a simulator's loop. run: of the library."""

    def __init__(self, simulator: Simulator, run: Any):
        self._simulator = simulator
        self._run = run
        self._chip: Any = simulator.rp2040
        chip = self._chip
        self._held = [
            (ctypes.c_char * memoryview(each).nbytes).from_buffer(memoryview(each).cast("B"))
            for each in (chip.core.registers, chip.flash, chip.sram, chip.bootrom)
        ]
        sizes = [ctypes.sizeof(each) for each in self._held[1:]]
        addresses = [ctypes.addressof(each) for each in self._held]
        self._state = _State(*addresses, *sizes)
        self._state.divisor = 1
        self._at = ctypes.byref(self._state)

    @property
    def instructions(self) -> int:
        """How many ran in C so far."""
        return self._state.instructions

    def stretch(self, cycles: int) -> int:
        """Runs instructions until so many cycles have passed, or until one needs more than
        memory (then `held_up`); the cycles they took. Time is the caller's."""
        core, state = self._chip.core, self._state
        flags = core.apsr
        state.n, state.z = flags >> _N & 1, flags >> _Z & 1
        state.c, state.v = flags >> _C & 1, flags >> _V & 1
        taken = self._run(self._at, cycles)
        if taken:
            core.apsr = state.n << _N | state.z << _Z | state.c << _C | state.v << _V
            core.cycles += taken
        return taken

    @property
    def held_up(self) -> bool:
        """Whether the next instruction is rp2040py's to run."""
        return bool(self._state.slow)

    def run(self) -> None:
        """Until the simulator is stopped."""
        simulator, chip = self._simulator, self._chip
        core, clock = chip.core, chip.clock
        while not simulator.stopped:
            if core.waiting:
                self._pass(clock.nanos_to_next_alarm)
                continue
            if core.interrupts_updated:
                core.check_for_interrupts()
            cycles = _MOST_CYCLES
            if clock.has_scheduled_alarm:
                cycles = min(cycles, max(1, ceil(clock.nanos_to_next_alarm / _CYCLE_NS)))
            taken = self.stretch(cycles)
            if taken:
                self._pass(taken * _CYCLE_NS)
            if self._state.slow and not (core.interrupts_updated or simulator.stopped):
                self._pass(core.execute_instruction() * _CYCLE_NS)

    def _pass(self, nanos: float) -> None:
        """As rp2040py's loop: alarms first, then PIO."""
        chip = self._chip
        chip.clock.tick(nanos)
        for pio in chip.pio:
            if not pio.stopped:
                pio.advance(int(nanos / _CYCLE_NS) or 1)


def is_available() -> bool:
    """Whether boards get one here."""
    return os.environ.get(SWITCH) != "0" and _library() is not None


def thumb_core(simulator: Simulator) -> ThumbCore | None:
    """One for this simulator, or None where it cannot be had."""
    return ThumbCore(simulator, _library()) if is_available() else None


@cache
def _library() -> Any:
    """`thumb_run`, compiled when it is first asked for."""
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory(prefix="clsbench-") as folder:
        made = Path(folder) / "thumb.so"
        done = subprocess.run(
            [compiler, *_FLAGS, "-o", str(made), str(SOURCE)], capture_output=True, check=False
        )
        if done.returncode:
            return None
        library = ctypes.CDLL(str(made))
    library.thumb_run.argtypes = (ctypes.c_void_p, ctypes.c_int64)
    library.thumb_run.restype = ctypes.c_int64
    return library.thumb_run
