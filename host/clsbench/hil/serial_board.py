"""A board on a port: a chip on a USB cable or UART, or a port served elsewhere (`rfc2217://`).

What the bench can do beyond the console depends on what is wired: a switch in the supply (a
command), an RS-485 adapter on the board's bus, the relay's auxiliary contact on a modem line.
Opens what its URLs name and nothing else.
"""

import shlex
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clsbench.device import flashing
from clsbench.device.flash import flash
from clsbench.errors import BadInput, EnvironmentProblem, PeerSilent
from clsbench.hil import raw_repl
from clsbench.hil.board import (
    FILES,
    PORT,
    POWER_CUT,
    RELAY_OBSERVER,
    UART,
    DeviceFile,
    Edge,
    Wiring,
)
from clsbench.hil.bus_end import BusEnd, PortLine
from clsbench.hil.port_console import PortConsole
from clsbench.hil.wall import WallTime

RELAY_LINES = ("cts", "dsr", "cd", "ri")
_WIRING = Wiring(relay=2, tamper=3, power_fail=4, bus_uart=0)  # roles only
_POWER_S = 30.0  # what a power switch's command may take
_BACK_S = 20.0  # until a port is there again
_OBSERVE_S = 0.005
_OBSERVE_LAG_S = 0.1  # a modem line's change takes its way through USB, or a network


@dataclass(frozen=True)
class SerialOptions:
    """power: command that gets `on` or `off` as its last word, or a function of it. bus: port of
    the RS-485 adapter. relay_line: modem line of the console's port, out of RELAY_LINES, that the
    relay's auxiliary contact drives. firmware: the board's folder in boards/; "" asks the board.
    baud: of the console.
    """

    power: str | Callable[[str], object] = ""
    bus: str = ""
    relay_line: str = ""
    firmware: str = ""
    baud: int = 115200


def serial_caps(options: SerialOptions) -> frozenset[str]:
    """What a board with this wiring can do."""
    caps = {FILES, PORT}
    caps |= {POWER_CUT} if options.power else set()
    caps |= {UART} if options.bus else set()
    caps |= {RELAY_OBSERVER} if options.relay_line else set()
    return frozenset(caps)


class SerialBoard(WallTime):
    """port: path, `serial:NUMBER`, `rfc2217://` or `socket://`. Raises BadInput, and from start
    EnvironmentProblem."""

    wiring = _WIRING

    def __init__(self, port: str, options: SerialOptions):
        if options.relay_line and options.relay_line not in RELAY_LINES:
            raise BadInput(f"relay line '{options.relay_line}': one of {', '.join(RELAY_LINES)}")
        self.name = self.port = port
        self.caps = serial_caps(options)
        self.console = PortConsole(port, options.baud)
        self._options = options
        self._firmware = options.firmware
        self._bus: BusEnd | None = None
        self._observer: _LineObserver | None = None

    @property
    def firmware(self) -> str:
        """Its folder in boards/; asked of the board when no option says it."""
        if not self._firmware:
            self._power("on")
            self.console.open(_BACK_S)
            with self.console.lend() as port:
                self._firmware = flashing.name_of(port)
        return self._firmware

    def start(self, files: Sequence[DeviceFile] = ()) -> None:
        self._power("on")
        self.console.open(_BACK_S)
        if self._options.bus and self._bus is None:
            self._bus = BusEnd(PortLine(self._options.bus, 9600))
        firmware = self.firmware
        with self.console.lend() as port:
            flashing.make_room(port, firmware)
            flash(port, files)
        if self._options.relay_line and self._observer is None:
            self._observer = _LineObserver(self.console, self._options.relay_line, self.now)

    def close(self) -> None:
        if self._observer is not None:
            self._observer.close()
        self.console.close()
        if self._bus is not None:
            self._bus.close()

    def reset(self) -> None:
        """By the REPL: a port has no reset button that every board obeys."""
        self.console.write(b"\r\x03\x03")
        self.sleep(0.3)
        self.console.write(b"\x03\x02import machine\rmachine.reset()\r")
        self.sleep(0.5)

    def power_cut(self, off_s: float = 0.0) -> None:
        self._power("off")
        self.sleep(off_s)
        self._power("on")

    def load_records(self, image: bytes) -> None:
        raise BadInput(f"board {self.name}: its record flash is out of the bench's reach")

    def uart(self, number: int, baud: int = 9600) -> BusEnd:
        if self._bus is None:
            raise BadInput(f"board {self.name}: no RS-485 adapter was named (--bus PORT)")
        return self._bus

    def pin(self, number: int) -> Sequence[Edge]:
        if number != self.wiring.relay or self._observer is None:
            raise BadInput(f"board {self.name}: pin {number} is not observed")
        self.sleep(_OBSERVE_LAG_S)
        return tuple(self._observer.edges)

    def drive(self, pin: int, level: int) -> None:
        raise BadInput(f"board {self.name}: nothing is wired to pin {pin}")

    def repl(self, code: str, deadline_s: float = 10.0) -> str:
        return raw_repl.execute(self, code, deadline_s)

    def heap(self) -> tuple[int, int]:
        return raw_repl.heap(self)

    def _power(self, state: str) -> None:
        power = self._options.power
        if not isinstance(power, str):
            power(state)
            return
        if not power:
            return
        command = [*shlex.split(power), state]
        try:
            subprocess.run(command, check=True, timeout=_POWER_S, capture_output=True, text=True)
        except subprocess.TimeoutExpired as error:
            raise PeerSilent(f"power switch: {command[0]} {state} has no end") from error
        except (OSError, subprocess.CalledProcessError) as error:
            words = getattr(error, "stderr", "") or str(error)
            raise EnvironmentProblem(f"power switch: {command[0]} {state}: {words}") from error


class _LineObserver:
    """Notes each change of a modem line, and that it falls with the port."""

    def __init__(self, console: PortConsole, line: str, now: Callable[[], float]):
        self.edges: list[Edge] = []
        self._console = console
        self._line = line
        self._now = now
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"relay {line}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        level = 0
        while not self._closing.wait(_OBSERVE_S):
            seen = 1 if self._console.use(lambda port: getattr(port, self._line)) else 0
            if seen != level:
                level = seen
                self.edges.append((self._now(), level))
