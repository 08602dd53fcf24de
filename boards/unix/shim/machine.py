"""`machine` of the unix board: UART, Pin, WDT and reset, joined to the bench.

Stands before the interpreter's own `machine` in sys.path. Buses are host ttys, named by
HIL_UART<id>. Pins, watchdog and reset talk text lines over the tty named by HIL_GPIO:

    out  pin <id> <0|1>   wdt <ms>   feed   reset
    in   pin <id> <0|1>

Baud rate and framing are accepted and kept, and change nothing: a pty has no speed.
Knows no interrupts: a pin is read when its value is asked for.
"""

import io
import os
import select
import sys
import termios
import time

from umachine import PinBase, Signal, idle, soft_reset  # noqa: F401 (part of this module's face)
from vfs import VfsPosix

# numbers as on ESP32; RP2040 names only the first and the third
PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
SOFT_RESET = 5

_CAUSES = {"PWRON": PWRON_RESET, "HARD": HARD_RESET, "WDT": WDT_RESET, "SOFT": SOFT_RESET}
_GET_FILENO = 10  # MP_STREAM_GET_FILENO: lets poll sleep in the kernel
_CLOSE = 4  # MP_STREAM_CLOSE
_READ_CHUNK = 256
_CRYSTAL_HZ = 160_000_000

_host = VfsPosix()  # the host's files, which "/" hides here


class _Lines:
    """Text lines to and from the bench; without a bench every line is dropped."""

    def __init__(self, path):
        self._tty = _open_tty(path) if path else None
        self._rest = b""
        self.levels = {}  # pin -> level, as the bench or this board last said

    def tell(self, line):
        if self._tty:
            self._tty.write(line + "\n")

    def connected(self):
        return self._tty is not None

    def take(self):
        """Reads what the bench has said since; never waits."""
        while self._tty:
            data = self._tty.read(_READ_CHUNK)
            if not data:
                return
            lines = (self._rest + data).split(b"\n")
            self._rest = lines.pop()
            for line in lines:
                word = line.split()
                if len(word) == 3 and word[0] == b"pin":
                    self.levels[int(word[1])] = int(word[2])


def _open_tty(path):
    """The tty as a file whose reads return at once with what is there."""
    tty = _host.open(path, "r+b")
    attributes = termios.tcgetattr(tty.fileno())
    attributes[0] = attributes[1] = attributes[3] = 0  # no byte is special, either way
    minimum, patience = (16, 17) if sys.platform == "darwin" else (6, 5)
    attributes[6][minimum] = 0
    attributes[6][patience] = 0
    termios.tcsetattr(tty.fileno(), termios.TCSANOW, attributes)
    return tty


_bench = _Lines(os.getenv("HIL_GPIO"))


class Pin(PinBase):
    """A pin the bench sees: outputs are reported to it, inputs are what it says."""

    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        self.id = id
        self._mode = Pin.IN
        self._pull = pull
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None):
        if mode != -1:
            self._mode = mode
        if pull != -1:
            self._pull = pull
        if self._mode == Pin.IN:
            return
        _bench.take()
        self._drive(self._level() if value is None else value)

    def value(self, level=None):
        if level is not None:
            if self._mode != Pin.IN:
                self._drive(level)
            return None
        _bench.take()
        return self._level()

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    high = on
    low = off

    def toggle(self):
        self.value(1 - self._level())

    def _level(self):
        return _bench.levels.get(self.id, 1 if self._pull == Pin.PULL_UP else 0)

    def _drive(self, level):
        level = 1 if level else 0
        _bench.levels[self.id] = level
        _bench.tell("pin %d %d" % (self.id, level))

    def __repr__(self):
        return "Pin(%d)" % self.id


class UART(io.IOBase):
    """A serial port over the tty that HIL_UART<id> names; works with select and asyncio.

    timeout: milliseconds that read waits for a first byte (0: returns at once);
    timeout_char: milliseconds it waits between bytes.
    Raises ValueError when the bench has wired nothing to this id.
    """

    def __init__(self, id, baudrate=9600, bits=8, parity=None, stop=1, **options):
        path = os.getenv("HIL_UART%d" % id)
        if not path:
            raise ValueError("UART(%d) is not wired: HIL_UART%d is not set" % (id, id))
        self.id = id
        self._tty = _open_tty(path)
        self._readable = select.poll()
        self._readable.register(self._tty, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._tty, select.POLLOUT)
        self._timeout_ms = 0
        self._timeout_char_ms = 0
        self.init(baudrate, bits, parity, stop, **options)

    def init(self, baudrate=9600, bits=8, parity=None, stop=1, **options):
        """Keeps the line's settings; tx, rx, txbuf and rxbuf are accepted and mean nothing."""
        self.baudrate = baudrate
        self.framing = (bits, parity, stop)
        self._timeout_ms = options.get("timeout", self._timeout_ms)
        self._timeout_char_ms = options.get("timeout_char", self._timeout_char_ms)

    def deinit(self):
        self._tty.close()

    def any(self):
        """1 when bytes wait, else 0 (the documented minimum of machine.UART.any)."""
        return 1 if self._readable.poll(0) else 0

    def read(self, n=-1):
        """Up to n bytes (all that wait without n), or None."""
        found = b""
        wait_ms = self._timeout_ms
        while n < 0 or len(found) < n:
            if wait_ms and not self._readable.poll(wait_ms):
                break
            part = self._tty.read(_READ_CHUNK if n < 0 else n - len(found))
            if not part:
                break
            found += part
            wait_ms = self._timeout_char_ms
        return found or None

    def readinto(self, buf, n=None):
        data = self.read(len(buf) if n is None else min(n, len(buf)))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def write(self, data):
        """Sends; into an unread, full pty it sends into the void, as a wire would."""
        if self._writable.poll(0):
            self._tty.write(data)
        return len(data)

    def flush(self):
        pass

    def txdone(self):
        return True

    def ioctl(self, request, argument):
        if request == _GET_FILENO:
            return self._tty.fileno()
        if request == _CLOSE:
            self._tty.close()
            return 0
        return -1


class WDT:
    """A watchdog that the bench enforces: unfed for `timeout` ms, the board is reset."""

    def __init__(self, id=0, timeout=5000):
        _bench.tell("wdt %d" % timeout)

    def feed(self):
        _bench.tell("feed")


def reset():
    """A hard reset; does not return."""
    _bench.tell("reset")
    if not _bench.connected():
        os.system("kill -9 $PPID")
    while True:
        try:
            time.sleep(1)
        except KeyboardInterrupt:
            pass  # a chip in reset does not listen


def reset_cause():
    """Why the interpreter started: one of the *_RESET numbers."""
    return _CAUSES.get(os.getenv("HIL_RESET_CAUSE"), PWRON_RESET)


def unique_id():
    """Eight bytes that stay with the board's flash image."""
    import hashlib

    return hashlib.sha256(os.getenv("HIL_FLASH") or "unix").digest()[:8]


def freq(hz=None):
    """The clock rate in Hz of the board this stands for; setting it changes nothing."""
    return _CRYSTAL_HZ if hz is None else None
