"""MicroPython's raw REPL over any board's console, in the board's own time.

Knows the protocol of docs.micropython.org/en/latest/reference/repl.html (raw mode) and no
boards. For a whole file system there is mpremote; this is for a few lines of code.
"""

from clsbench.errors import PeerRefused
from clsbench.hil.board import Board

_ENTERED = b"raw REPL; CTRL-B to exit\r\n>"
_CHUNK = 128  # a USB CDC or UART console takes no more at once without losing some
_PAUSE_S = 0.01
_END = b"\x04"


def execute(board: Board, code: str, deadline_s: float = 10.0) -> str:
    """Interrupts what runs, has `code` run, and returns what it printed.

    Raises PeerRefused with the board's traceback, PeerSilent when no end comes in time.
    """
    reader = begin(board, code, deadline_s)
    printed = reader.until(_END, deadline_s, "end of the code").removesuffix(_END)
    failed = reader.until(_END, deadline_s, "end of the code's errors").removesuffix(_END)
    board.console.write(b"\x02")  # the friendly REPL again
    reader.until(b">>> ", deadline_s, "friendly prompt")
    if failed:
        words = failed.decode("utf-8", "replace").strip()
        raise PeerRefused(f"board {board.name}: {code.strip()[:60]!r} failed:\n  {words}")
    return printed.decode("utf-8", "replace").replace("\r\n", "\n")


def begin(board: Board, code: str, deadline_s: float = 10.0) -> "_Reader":
    """Has `code` run and does not wait for its end, which may never come."""
    reader = _Reader(board)
    enter(board, reader, deadline_s)
    source = code.encode()
    for start in range(0, len(source), _CHUNK):
        board.console.write(source[start : start + _CHUNK])
        board.sleep(_PAUSE_S)
    board.console.write(_END)
    reader.until(b"OK", deadline_s, "word that code came")
    return reader


def heap(board: Board) -> tuple[int, int]:
    """(free, allocated) bytes of the interpreter's heap after a collection."""
    words = execute(board, "import gc\ngc.collect()\nprint(gc.mem_free(), gc.mem_alloc())").split()
    return int(words[0]), int(words[1])


def enter(board: Board, reader: "_Reader", deadline_s: float) -> None:
    """Interrupts until the raw REPL says that it listens: code may catch the first Ctrl-C."""
    board.console.read()
    tries = max(2, int(deadline_s))
    for _ in range(tries):
        board.console.write(b"\r\x03")
        board.sleep(0.1)
        board.console.write(b"\x03\r\x01")
        if reader.sees(_ENTERED, 1.0):
            return
    reader.until(_ENTERED, 0.0, "raw REPL")


class _Reader:
    """Takes what the console says up to an ending."""

    def __init__(self, board: Board):
        self._board = board
        self._data = b""

    def until(self, ending: bytes, deadline_s: float, what: str) -> bytes:
        """Everything up to and with `ending`. Raises PeerSilent."""
        self._board.wait(lambda: self._has(ending), deadline_s, what)
        head, _, self._data = self._data.partition(ending)
        return head + ending

    def sees(self, ending: bytes, seconds: float) -> bool:
        """Whether `ending` comes within `seconds`; then takes it and all before it."""
        end = self._board.now() + seconds
        self._board.wait(
            lambda: self._has(ending) or self._board.now() >= end, seconds + 60.0, "a prompt"
        )
        if ending not in self._data:
            return False
        self._data = self._data[self._data.rindex(ending) + len(ending) :]
        return True

    def _has(self, ending: bytes) -> bool:
        self._data += self._board.console.read()
        return ending in self._data
