"""What a bench asks of a board, whatever it is made of: a process, an emulator, a chip on a cable.

All methods are synchronous and made for pytest. Every time and deadline is board time, in
seconds: wall time on a process or a serial port, virtual time on an emulator, which runs only
while a call of the bench waits (`sleep`, `wait`, and what is built on them). A test therefore
never reads the wall's clock and never sleeps by itself.

Knows neither meters nor the firmware; `benching` puts those together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")

DeviceFile = tuple[str, bytes]  # path relative to the board's root, content
Edge = tuple[float, int]  # board time in s, level from then on
Reply = tuple[float, bytes]  # s after the end of the request, bytes put on the line then
Peer = Callable[[bytes], Sequence[Reply]]  # one whole frame of the board -> what is said to it

POWER_CUT = "power_cut"  # the supply can be cut at any instant
UART = "uart"  # the bench is on the other end of the board's RS-485 bus
RELAY_OBSERVER = "relay_observer"  # the bench sees the relay itself, not what the device says
RELAY_EDGES = "relay_edges"  # and every edge of it, with its time
VIRTUAL_TIME = "virtual_time"  # now() is the emulator's: deterministic, and slow by the wall
NET = "net"  # the board reaches a gateway on the bench's loopback, in TLS
FILES = "files"  # start() puts files on the board
INPUTS = "inputs"  # drive() sets the levels of input pins
RECORDS = "records"  # load_records() puts another content into the record flash
PORT = "port"  # `port` is a name that pyserial and stock mpremote open

CAPABILITIES = {
    POWER_CUT: "its supply can be cut",
    UART: "the bench is on its RS-485 bus",
    RELAY_OBSERVER: "the bench sees its relay pin",
    RELAY_EDGES: "the bench sees every edge of its relay pin",
    VIRTUAL_TIME: "its time is the emulator's",
    NET: "it reaches a gateway of the bench",
    FILES: "the bench puts its files there",
    INPUTS: "the bench drives its input pins",
    RECORDS: "the bench can fill its record flash",
    PORT: "its console has a port name",
}


@dataclass(frozen=True)
class Wiring:
    """Which number is what, as boards/<firmware>/board.py has it: pins, and the bus's UART."""

    relay: int
    tamper: int
    power_fail: int
    bus_uart: int = 0


class ByteStream(Protocol):
    """The board's console. Bytes flow only while the bench waits (`Board.sleep`, `wait`)."""

    def write(self, data: bytes) -> None:
        """Sends to the board; nobody hears it while the supply is off."""
        ...

    def read(self) -> bytes:
        """All that the board said since the last call; never waits, b"" when nothing came."""
        ...


class UartEnd(Protocol):
    """The bench's end of one UART of the board."""

    def connect(self, peer: Peer | None) -> None:
        """Has `peer` answer from now on: called with each frame of the board (bytes followed
        by 3.5 characters of silence), in the bench's thread or another. None: nobody answers."""
        ...


class Board(Protocol):
    """A board on the bench.

    name: what reports call it (`unix`, `rp2040`, a port). firmware: its folder in boards/.
    caps: names out of CAPABILITIES. port: its console's name for mpremote, where it has `port`.
    After `start` the supply is on; console, UART ends and observers stay what they are through
    resets and power cuts.
    """

    @property
    def name(self) -> str: ...
    @property
    def firmware(self) -> str: ...
    @property
    def caps(self) -> frozenset[str]: ...
    @property
    def wiring(self) -> Wiring: ...
    @property
    def console(self) -> ByteStream: ...
    @property
    def port(self) -> str | None: ...

    def start(self, files: Sequence[DeviceFile] = ()) -> None:
        """Switches on with these files in the file system (which is otherwise empty where the
        board has `files`) and main.py started. Where the board keeps its own files, only those
        of the list are written. Raises EnvironmentProblem when it does not come up.
        """
        ...

    def close(self) -> None:
        """Switches off and gives everything back. May be called twice."""
        ...

    def reset(self) -> None:
        """The reset button: RAM is lost, flash stays, pins float; main.py starts again."""
        ...

    def power_cut(self, off_s: float = 0.0) -> None:
        """Cuts the supply at this instant, returns with it back after `off_s` (main.py starts).
        Needs `power_cut`."""
        ...

    def load_records(self, image: bytes) -> None:
        """Cuts the supply, puts `image` at the begin of the record flash (its sectors as in
        board.toml; erased behind it, settings stay), returns with the supply back. Needs
        `records`."""
        ...

    def now(self) -> float:
        """Board time; its zero means nothing. Goes on through resets and power cuts."""
        ...

    def sleep(self, seconds: float) -> None:
        """Lets the board run for so long."""
        ...

    def wait(self, predicate: Callable[[], T], deadline_s: float, what: str) -> T:
        """Lets the board run until `predicate()` is true, and returns what it gave.

        The predicate is called often (each few milliseconds of board time) and must not wait.
        Raises PeerSilent after `deadline_s`, naming the board and `what` did not come.
        """
        ...

    def uart(self, number: int, baud: int = 9600) -> UartEnd:
        """The bench's end of a UART; the same object each time. Needs `uart`."""
        ...

    def pin(self, number: int) -> Sequence[Edge]:
        """The changes of an output that were seen since `start`, oldest first; all of them with
        `relay_edges`. The level before the first is 0. A cut supply and a reset let it fall to
        0. Needs `relay_observer`."""
        ...

    def drive(self, pin: int, level: int) -> None:
        """Applies a level to an input; it stays through resets and power cuts. Needs `inputs`."""
        ...

    def repl(self, code: str, deadline_s: float = 10.0) -> str:
        """Runs code at the REPL, interrupting what runs there; what it printed.

        Leaves the firmware stopped (`reset` starts it). Raises PeerRefused with the traceback,
        PeerSilent without an answer. `clsbench.hil.raw_repl.execute(board, code, …)` does it on
        any board's console.
        """
        ...

    def heap(self) -> tuple[int, int]:
        """(free, allocated) bytes after a collection, at the REPL as `repl` does it."""
        ...


def level(edges: Sequence[Edge]) -> int:
    """The level a pin has now."""
    return edges[-1][1] if edges else 0
