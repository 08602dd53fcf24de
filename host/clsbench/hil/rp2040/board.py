"""The emulated Pico behind the bench's protocol, in virtual time.

A stock image boots with the files in its file system; UARTs, pins, supply and console are the
bench's. Opens no connection. Knows the Pico's pins as boards/rpi_pico/board.toml has them;
nothing of meters or tests.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from clsbench.device.boards import board_facts
from clsbench.device.layout import rp2_storage
from clsbench.errors import BadInput, EnvironmentProblem, PeerSilent
from clsbench.hil import raw_repl
from clsbench.hil.board import (
    FILES,
    INPUTS,
    PORT,
    POWER_CUT,
    RECORDS,
    RELAY_EDGES,
    RELAY_OBSERVER,
    UART,
    VIRTUAL_TIME,
    DeviceFile,
    Edge,
    Wiring,
)
from clsbench.hil.rp2040.chip import Chip
from clsbench.hil.rp2040.console import Console
from clsbench.hil.rp2040.ports import Ports
from clsbench.hil.rp2040.wire import Wire
from clsbench.hil.rp2040.wiring import Pins

T = TypeVar("T")

FIRMWARE = "rpi_pico"
LOOK_S = 0.002  # board time between two looks of `wait`
CUT_S = 0.2  # how long the supply stays away after `cut_at`


class Rp2040Board:
    """image: UF2 of MicroPython. All methods may be called from any thread; while somebody has
    `port` or `uart_port` open, the board also runs by itself (see `ports`)."""

    name = "rp2040"
    firmware = FIRMWARE
    caps = frozenset(
        {POWER_CUT, UART, RELAY_OBSERVER, RELAY_EDGES, VIRTUAL_TIME, FILES, INPUTS, RECORDS, PORT}
    )

    def __init__(self, _workdir: Path, image: Path):
        self._image = image
        self._lock = threading.RLock()
        self._ports: Ports | None = None
        facts = self._facts = board_facts(FIRMWARE)
        pins = facts.pins
        self.wiring = Wiring(pins["relay"], pins["tamper"], pins["power_fail"], facts.uarts["bus"])
        self.console = Console()
        self._pins = Pins(self.now)
        self._wires: dict[int, Wire] = {}
        self.chip: Chip | None = None
        self._cut_s: float | None = None

    # supply

    def start(self, files: Sequence[DeviceFile] = ()) -> None:
        """Raises EnvironmentProblem when the image cannot be read or has no console."""
        self.load(rp2_storage(self._facts, files))

    def load(self, storage: bytes) -> None:
        """As `start`, with the whole of the flash that MicroPython gives access to."""
        self._switch_off()
        start = self._facts.flash_kib * 1024 - len(storage)
        with self._lock:
            self.chip = Chip(self._image, storage, start, self._attach)
            self.chip.on_reset = self._pins.fall
            self.chip.power_on()

    def close(self) -> None:
        if self._ports is not None:
            self._ports.close()
            self._ports = None
        self._switch_off()

    def _switch_off(self) -> None:
        with self._lock:
            if self.chip is not None:
                self._cut()

    def reset(self) -> None:
        with self._lock:
            self._running().reset()

    def power_cut(self, off_s: float = 0.0) -> None:
        with self._lock:
            chip = self._running()
            self._cut()
            chip.run_until(chip.now_ns + off_s * 1e9)
            chip.power_on()

    def load_records(self, image: bytes) -> None:
        facts, chip = self._facts, self._running()
        before = facts.storage_blocks - facts.record_start  # blocks from there to the flash's end
        self._cut()
        chip.overwrite(
            facts.flash_kib * 1024 - before * facts.block_size,
            image.ljust(facts.record_sectors * facts.block_size, b"\xff"),
        )
        chip.power_on()

    def _cut(self) -> None:
        assert self.chip is not None
        self.chip.power_off()
        self.console.detach()
        self._pins.detach()
        for wire in self._wires.values():
            wire.detach()

    def _attach(self, mcu: Any, cdc: Any) -> None:
        self._pins.attach(mcu)
        self.console.attach(mcu, cdc)
        for wire in self._wires.values():
            wire.attach(mcu)

    def _running(self) -> Chip:
        if self.chip is None or not self.chip.powered:
            raise EnvironmentProblem("the emulated board was not started")
        return self.chip

    # time

    def now(self) -> float:
        return self.chip.now_ns / 1e9 if self.chip is not None else 0.0

    def sleep(self, seconds: float) -> None:
        with self._lock:
            if self.chip is None:
                return
            end_s = self.now() + seconds
            if self._cut_s is not None and self._cut_s <= end_s:
                self.chip.run_until(self._cut_s * 1e9)
                self._cut_s = None
                self.power_cut(CUT_S)
                raise PeerSilent(f"board {self.name}: its supply was cut, as was asked for")
            self.chip.run_until(end_s * 1e9)

    def cut_at(self, when_s: float | None) -> bool:
        """Has the supply cut for CUT_S at this instant of board time; None: no more. Whoever lets
        time pass then gets PeerSilent. Returns whether one was still to come."""
        waiting, self._cut_s = self._cut_s is not None, when_s
        return waiting

    def wait(self, predicate: Callable[[], T], deadline_s: float, what: str) -> T:
        deadline = self.now() + deadline_s
        while not (found := predicate()):
            if self.now() >= deadline:
                raise PeerSilent(f"board {self.name}: {what} did not come in {deadline_s:g} s")
            self.sleep(LOOK_S)
        return found

    # pins and lines

    def uart(self, number: int, baud: int = 9600) -> Wire:
        """The same wire each time, from now on with peers of this speed."""
        if number not in self._facts.uarts.values():
            raise BadInput(f"{self.name}: UART {number} is not wired; see boards/{FIRMWARE}")
        wire = self._wires.get(number)
        if wire is None:
            enable = self._facts.pins["bus_enable"] if number == self.wiring.bus_uart else None
            wire = self._wires[number] = Wire(number, baud, self._pins, self.now, enable)
            if self.chip is not None and self.chip.powered:
                wire.attach(self.chip.mcu)
        wire.baud = baud
        return wire

    def pin(self, number: int) -> Sequence[Edge]:
        return self._pins.edges(number)

    def drive(self, pin: int, level: int) -> None:
        self._pins.drive(pin, level)

    # for other programs

    @property
    def port(self) -> str:
        return self._names().console

    def uart_port(self, number: int, baud: int = 9600) -> str:
        """A path for a program that is to be on the other end of a UART."""
        return self._names().uart(self.uart(number, baud))

    def _names(self) -> Ports:
        if self._ports is None:
            self._ports = Ports(self, self.console, self._lock)
        return self._ports

    # interpreter

    def repl(self, code: str, deadline_s: float = 30.0) -> str:
        return raw_repl.execute(self, code, deadline_s)

    def heap(self) -> tuple[int, int]:
        return raw_repl.heap(self)
