"""The console of a process board: bytes between whoever opened its port and the interpreter.

Passes every byte unchanged but Ctrl-C, which waits for an instant at which the interpreter
survives it. Knows no boards, no resets; follows only which REPL speaks.
"""

import time

from clsbench.hil.board_process import BETWEEN, BUSY, IDLE, PROMPT, BoardProcess
from clsbench.hil.ptys import OpenWatch, Pty, read_some, write_some

HELD_LIMIT = 16 * 1024  # bytes kept for the next one who opens the port
QUEUE_LIMIT = 64 * 1024  # bytes under way, per direction
STUCK_S = 5.0  # who has the port open and reads nothing so long loses the oldest bytes
RETRY_S = 0.002  # between two looks at a process that is not ready for Ctrl-C
BUSY_LIMIT_S = 0.1  # then Ctrl-C goes to a computing program as well
SETTLE_LIMIT_S = 0.3  # time an interrupted program has before input goes on

RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
FRIENDLY_PROMPT = b"information.\r\n>>> "
CTRL_C = 3


class Console:
    """Both ends of the console and the bytes between them.

    `raw`: the raw REPL speaks. `discarded`: bytes that nobody read in time.
    """

    def __init__(self) -> None:
        self.port = Pty(hold=False)
        self.watch = OpenWatch(self.port.path)
        self.attached = False
        self.raw = False
        self.discarded = 0
        self._to_host = bytearray()
        self._last_read = time.monotonic()
        self._tail = b""
        self.gate = InputGate()

    def close(self) -> None:
        self.watch.close()
        self.port.close()

    # towards the host

    def host_wants_bytes(self) -> bool:
        return self.attached and bool(self._to_host)

    def accepts_output(self) -> bool:
        """False while the reader is to catch up before the interpreter may say more."""
        if len(self._to_host) < QUEUE_LIMIT or not self.attached:
            return True
        return time.monotonic() - self._last_read > STUCK_S

    def say(self, data: bytes) -> None:
        """Output of the board: to the reader, or held for the next one."""
        self._follow(data)
        if not self._to_host:
            self._last_read = time.monotonic()
        self._to_host += data
        self.flush_to_host()
        limit = QUEUE_LIMIT + 65536 if self.attached else HELD_LIMIT
        surplus = len(self._to_host) - limit
        if surplus > 0:
            del self._to_host[:surplus]
            self.discarded += surplus

    def flush_to_host(self) -> None:
        if self.attached and self._to_host:
            taken = write_some(self.port.master, self._to_host)
            if taken:
                self._last_read = time.monotonic()
                del self._to_host[:taken]

    def look_who_is_there(self) -> None:
        """Somebody opened or closed the port."""
        self.watch.clear()
        self.attached = self.port.is_attached()
        self.flush_to_host()

    # towards the interpreter

    def accepts_input(self) -> bool:
        return self.attached and len(self.gate.pending) < QUEUE_LIMIT

    def take_input(self, keep: bool) -> None:
        """What the host has sent; without supply (keep False) nobody hears it."""
        data = read_some(self.port.master)
        if data == b"":
            self.attached = False
        elif data and keep:
            self.gate.pending += data

    def _follow(self, data: bytes) -> None:
        """Which REPL spoke last."""
        text = self._tail + data
        raw, friendly = text.rfind(RAW_PROMPT), text.rfind(FRIENDLY_PROMPT)
        if raw != friendly:  # both -1: no news
            self.raw = raw > friendly
        self._tail = text[-len(RAW_PROMPT) :]


class InputGate:
    """Bytes on their way into the interpreter, Ctrl-C among them.

    Closed until the interpreter has said that it listens. `last_interrupt` is the
    monotonic time of the last Ctrl-C that stopped a program.
    """

    def __init__(self) -> None:
        self.pending = bytearray()
        self.last_interrupt = 0.0
        self.blocked = False  # the interpreter's terminal is full
        self._process: BoardProcess | None = None
        self._waiting_since: float | None = None
        self._settle_until = 0.0

    def open(self, process: BoardProcess) -> None:
        self._process = process

    def shut(self) -> None:
        """The interpreter is gone; what was typed to it is gone too."""
        self._process = None
        self.pending.clear()
        self.blocked = False
        self._waiting_since = None
        self._settle_until = 0.0

    def pump(self, now: float) -> float | None:
        """Passes on what may pass; returns when to look again, None: on news only."""
        self.blocked = False
        while self.pending and self._process is not None and not self.blocked:
            if now < self._settle_until:
                if self._process.doing() != PROMPT:
                    return now + RETRY_S
                self._settle_until = 0.0
            if self.pending[0] != CTRL_C:
                self._pass_bytes(self._process)
            elif not self._pass_interrupt(self._process, now):
                return now + RETRY_S
        return None

    def _pass_bytes(self, process: BoardProcess) -> None:
        end = self.pending.find(CTRL_C)
        chunk = self.pending[:end] if end > 0 else self.pending
        taken = write_some(process.console.master, chunk)
        self.blocked = taken < len(chunk)
        del self.pending[:taken]

    def _pass_interrupt(self, process: BoardProcess, now: float) -> bool:
        """True when the Ctrl-C at the head of the line is dealt with."""
        since = now if self._waiting_since is None else self._waiting_since
        doing = process.doing()
        if doing in (BUSY, BETWEEN) and now - since < BUSY_LIMIT_S:
            self._waiting_since = since
            return False
        self._waiting_since = None
        if doing in (IDLE, BUSY):
            process.interrupt()
            self.last_interrupt = now
            self._settle_until = now + SETTLE_LIMIT_S
        else:
            if doing == BETWEEN:  # a program that has switched Ctrl-C off reads it as a byte
                process.console.switch_interrupts_off()
            write_some(process.console.master, b"\x03")
        del self.pending[:1]
        return True
