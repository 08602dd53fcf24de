"""Raw pseudo terminals: made here, named by path, opened by others.

Knows terminals only. A byte written on one side is the same byte on the other.
"""

import ctypes
import os
import select
import struct
import sys
import termios
import tty

_IN_OPEN = 0x20
_IN_CLOSE = 0x18  # written or not


class Pty:
    """A pseudo terminal: `master` is a non-blocking fd of ours, `path` what others open.

    interrupts: the other side gets Ctrl-C as SIGINT while its terminal is in the mode it
    starts with; the characters that stop or kill a process are switched off.
    hold: keep the other side open here, so that its coming and going goes unseen.
    """

    def __init__(self, interrupts: bool = False, hold: bool = True):
        self.master, self.slave = os.openpty()
        self.path = os.ttyname(self.slave)
        _make_raw(self.slave, interrupts)
        os.set_blocking(self.master, False)
        if not hold:
            self.release()

    def release(self) -> None:
        """Lets go of the other side; whoever opened it keeps it."""
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def close(self) -> None:
        self.release()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def is_attached(self) -> bool:
        """True while somebody has the other side open."""
        poll = select.poll()
        poll.register(self.master, 0)
        return not poll.poll(0)

    def takes_interrupts(self) -> bool:
        """True while Ctrl-C would become SIGINT, False while it would be read as a byte."""
        return bool(termios.tcgetattr(self.master)[3] & termios.ISIG)

    def switch_interrupts_off(self) -> None:
        """From here on Ctrl-C is a byte, until the other side sets its terminal anew."""
        mode = termios.tcgetattr(self.master)
        mode[3] &= ~termios.ISIG
        termios.tcsetattr(self.master, termios.TCSANOW, mode)


def _make_raw(fd: int, interrupts: bool) -> None:
    tty.setraw(fd, termios.TCSANOW)
    mode = termios.tcgetattr(fd)
    if interrupts:
        mode[3] |= termios.ISIG | termios.NOFLSH  # an interrupt throws no bytes away
        off = struct.pack("B", os.fpathconf(fd, "PC_VDISABLE") & 0xFF)
        for name in ("VQUIT", "VSUSP", "VDSUSP", "VSTATUS"):
            if hasattr(termios, name):
                mode[6][getattr(termios, name)] = off
        mode[6][termios.VINTR] = b"\x03"
    termios.tcsetattr(fd, termios.TCSANOW, mode)


def read_some(fd: int, size: int = 65536) -> bytes | None:
    """What waits on a non-blocking fd; None when nothing does, b"" when the other side left."""
    try:
        return os.read(fd, size)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def write_some(fd: int, data: bytes | bytearray) -> int:
    """How many bytes a non-blocking fd took; 0 too when the other side left."""
    try:
        return os.write(fd, data)
    except OSError:
        return 0


class OpenWatch:
    """Tells when somebody opens or closes a device file, so that nobody has to ask in a loop.

    `fd` turns readable then (inotify); it is None where the system has no such thing, and
    the caller asks every `poll_s` instead.
    """

    poll_s = 0.05

    def __init__(self, path: str):
        self.fd: int | None = None
        if not sys.platform.startswith("linux"):
            return
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            return
        if libc.inotify_add_watch(fd, os.fsencode(path), _IN_OPEN | _IN_CLOSE) < 0:
            os.close(fd)
            return
        self.fd = fd

    def clear(self) -> None:
        """Takes the waiting notices."""
        while self.fd is not None and read_some(self.fd):
            pass

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
