"""The unix board behind the bench's protocol: all its capabilities, in wall time.

Knows `unix_board` and where its ends are; nothing of meters or tests.
"""

from collections.abc import Sequence
from pathlib import Path

from clsbench.device.boards import board_facts
from clsbench.device.flash import flash
from clsbench.device.record_flash import SECTOR
from clsbench.errors import BadInput
from clsbench.hil import raw_repl
from clsbench.hil.board import (
    FILES,
    INPUTS,
    NET,
    PORT,
    POWER_CUT,
    RECORDS,
    RELAY_EDGES,
    RELAY_OBSERVER,
    UART,
    DeviceFile,
    Edge,
    Wiring,
)
from clsbench.hil.bus_end import BusEnd, PtyLine
from clsbench.hil.port_console import PortConsole
from clsbench.hil.unix_board import UnixBoard
from clsbench.hil.wall import WallTime

WIRING = Wiring(relay=2, tamper=3, power_fail=4, bus_uart=0)  # as boards/unix/board.py


class ProcessBoard(WallTime):
    """workdir: its flash images. heap: of the interpreter."""

    name = "unix"
    firmware = "unix"
    caps = frozenset(
        {POWER_CUT, UART, RELAY_OBSERVER, RELAY_EDGES, NET, FILES, INPUTS, RECORDS, PORT}
    )
    wiring = WIRING

    def __init__(self, workdir: Path, heap: str = "384k"):
        self._edges: dict[int, list[Edge]] = {}
        self._records = workdir / "record.nor"
        line = PtyLine()
        self._bus = BusEnd(line)
        uarts = {WIRING.bus_uart: line.path}
        self._board = UnixBoard(workdir, heap=heap, uarts=uarts, on_pin=self._note)
        self.console = PortConsole(self._board.path)

    @property
    def port(self) -> str:
        return self._board.path

    def start(self, files: Sequence[DeviceFile] = ()) -> None:
        self._board.start()
        self.console.close()
        flash(self._board.path, files)  # starts main.py at its end
        self.console.open()

    def close(self) -> None:
        self.console.close()
        self._board.close()
        self._bus.close()

    def reset(self) -> None:
        boots = self._board.boots
        self._board.reset()
        self._board.wait_for_boot(boots + 1)

    def power_cut(self, off_s: float = 0.0) -> None:
        boots = self._board.boots
        self._board.power_cut(off_s)
        self._board.wait_for_boot(boots + 1)

    def load_records(self, image: bytes) -> None:
        self._board.stop()
        size = board_facts(self.firmware).record_sectors * SECTOR
        with self._records.open("r+b") as file:  # behind it stand the settings
            file.write(image.ljust(size, b"\xff"))
        self._board.start()

    def uart(self, number: int, baud: int = 9600) -> BusEnd:
        if number != WIRING.bus_uart:
            raise BadInput(f"unix board: UART {number} is not wired; {WIRING.bus_uart} is")
        return self._bus

    def pin(self, number: int) -> Sequence[Edge]:
        return tuple(self._edges.get(number, ()))

    def drive(self, pin: int, level: int) -> None:
        self._board.set_pin(pin, level)

    def repl(self, code: str, deadline_s: float = 10.0) -> str:
        return raw_repl.execute(self, code, deadline_s)

    def heap(self) -> tuple[int, int]:
        return raw_repl.heap(self)

    def _note(self, pin: int, level: int, mono_ns: int) -> None:
        self._edges.setdefault(pin, []).append((mono_ns / 1e9, level))
