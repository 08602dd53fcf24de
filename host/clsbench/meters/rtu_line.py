"""Plays an RtuResponder on a pty or a serial port, byte for byte at the speed of a wire.

Knows time and file descriptors, no meter. Paced, a request counts as received when its last
character would be over, a reply begins 3.5 characters later, and its n-th byte leaves n characters
after that, never before. What a pty takes to carry the request is measured and allowed for.
Unpaced, everything goes out at once.
"""

import errno
import os
import select
import termios
import threading
import time
import tty
from dataclasses import dataclass
from pathlib import Path

import serial

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.meters.fault_script import FaultScript, Outcome
from clsbench.meters.rtu_responder import RtuResponder

_READ = 4096
_IDLE_S = 0.02  # unpaced: a quiet line after this; paced: 3.5 characters, but never less than
_COALESCE_NS = 1_000_000  # bytes in the middle of a reply may wait this long for the next ones
_OVERSLEEP_NS = 120_000  # a sleep may end so late: the last bit of a reply is waited out awake
_TRIALS = 8  # of a new pty's transit time
_SPEEDS = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name[0] == "B" and name[1:].isdigit()
}


@dataclass(frozen=True, slots=True)
class LineSettings:
    """baud, parity ("none", "even", "odd") and stop_bits as on the wire.

    paced: keep the baud rate in software (a pty has none). latency_ms: between the silence after
    a request and the reply. check_baud: on a pty, ignore requests sent at another baud rate, as
    a wire would garble them.
    """

    baud: int = 9600
    parity: str = "none"
    stop_bits: int = 1
    paced: bool = True
    latency_ms: int = 0
    check_baud: bool = False

    @property
    def bits_per_char(self) -> int:
        """Start bit, eight data bits, parity bit where there is one, stop bits."""
        return 9 + (self.parity != "none") + self.stop_bits

    @property
    def char_ns(self) -> int:
        """How long a character lasts."""
        return self.bits_per_char * 1_000_000_000 // self.baud

    @property
    def silence_ns(self) -> int:
        """3.5 characters, above 19200 Bd 1.75 ms (Modbus over Serial Line V1.02, 2.5.1.1)."""
        return 1_750_000 if self.baud > 19200 else self.char_ns * 7 // 2


class _Pty:
    """Our end of a pty; `path` is the other one's, which any program opens like a serial port."""

    def __init__(self, settings: LineSettings):
        try:
            self.fd, self._other = os.openpty()
        except OSError as error:
            raise EnvironmentProblem(f"no pty to be had: {error}") from error
        self.path = os.ttyname(self._other)
        self._prepare()
        attributes = termios.tcgetattr(self._other)
        speed = {baud: code for code, baud in _SPEEDS.items()}.get(settings.baud)
        if speed is not None:
            attributes[4] = attributes[5] = speed
            termios.tcsetattr(self._other, termios.TCSANOW, attributes)
        os.set_blocking(self.fd, False)

    def _prepare(self) -> None:
        tty.setraw(self._other)

    def baud(self) -> int | None:
        """What the program at the other end has set."""
        return _SPEEDS.get(termios.tcgetattr(self.fd)[5])

    def transit_ns(self) -> int:
        """How long a byte takes through the pty at the least: so much earlier than it is seen was
        it sent. To be asked before anybody else uses the pty."""
        best = 1_000_000_000
        for _ in range(_TRIALS):
            begin = time.monotonic_ns()
            os.write(self._other, b"\0")
            if not select.select([self.fd], [], [], 1)[0]:
                return 0
            best = min(best, time.monotonic_ns() - begin)
            os.read(self.fd, 1)
        return best

    def mend(self) -> None:
        """After a hang-up by the program that had the pty as its terminal: open it again."""
        os.close(self._other)
        self._other = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._prepare()

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._other)


class _Device:
    """A serial port of this machine, or a pty that another program made."""

    def __init__(self, path: str, settings: LineSettings):
        pty = is_pty(path)
        parity = "N" if pty else settings.parity[0].upper()
        try:
            self._port = serial.Serial(
                path, settings.baud, parity=parity, stopbits=settings.stop_bits, timeout=0
            )
        except (serial.SerialException, ValueError, termios.error) as error:
            raise EnvironmentProblem(
                f"port {path}: {error}. Does it exist, may you write to it, and is no other "
                "program using it?"
            ) from error
        self.fd, self.path = self._port.fileno(), path

    def baud(self) -> int | None:
        return None

    def transit_ns(self) -> int:
        return 0

    def mend(self) -> None:
        raise EnvironmentProblem(f"port {self.path} is gone")

    def close(self) -> None:
        self._port.close()


def is_pty(path: str) -> bool:
    """Whether a path leads to a pty, which carries bytes without baud rate and parity."""
    return os.path.realpath(path).startswith("/dev/pts/")


class RtuLine:
    """Serves from `start` to `stop`, in a thread of its own.

    port: "pty" for a new one, else the path of a serial port. link: a symlink made to it, for as
    long as it is served. script: how the meter misbehaves. Raises EnvironmentProblem from the
    constructor where the port cannot be had, BadInput where `link` is taken.
    `problem` is what ended the serving, None while all is well. Counts in `counts`: "baud"
    (bytes at another rate), "early" (requests before 3.5 characters of silence), "replies".
    """

    def __init__(
        self,
        responder: RtuResponder,
        settings: LineSettings,
        *,
        port: str = "pty",
        script: FaultScript | None = None,
        link: Path | None = None,
    ):
        self._responder, self._settings = responder, settings
        self._script = script or FaultScript()
        self._port = _Pty(settings) if port == "pty" else _Device(port, settings)
        self.path = self._port.path
        self._transit_ns = self._port.transit_ns() if settings.paced else 0
        self._link = link
        if link is not None:
            try:
                _make_link(link, self.path)
            except BadInput:
                self._port.close()
                raise
        self._wake_read, self._wake_write = os.pipe()
        self._closing = False
        self._free_ns = 0  # when the last byte on the wire, either way, is over
        self.counts = {"replies": 0, "baud": 0, "early": 0}
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="rtu-line", daemon=True)

    def start(self) -> "RtuLine":
        """Begins to serve."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends serving and frees the port. May be called twice."""
        if self._closing:
            return
        self._closing = True
        os.write(self._wake_write, b"x")
        if self._thread.ident is not None:
            self._thread.join()
        self._port.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the serving to end; whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def __enter__(self) -> "RtuLine":
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._port.fd, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        quiet_ms = max(_IDLE_S, self._settings.silence_ns / 1e9) * 1000
        while not self._closing:
            ready = poll.poll(quiet_ms if self._responder.pending else None)
            try:
                data = self._read() if ready else b""
            except (OSError, EnvironmentProblem) as error:
                self.problem = str(error)
                return
            if data:
                self._receive(data)
            elif not ready:
                for request, reply in self._responder.silence():
                    self._answer(request, reply)

    def _read(self) -> bytes:
        if self._closing:
            return b""
        try:
            data = os.read(self._port.fd, _READ)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._port.mend()
            return b""
        if not data:
            self._port.mend()
        return data

    def _receive(self, data: bytes) -> None:
        settings = self._settings
        if settings.check_baud and self._port.baud() not in (None, settings.baud):
            self.counts["baud"] += len(data)
            return
        if settings.paced:
            now_ns = time.monotonic_ns() - self._transit_ns
            if not self._responder.pending and now_ns - self._free_ns < settings.silence_ns:
                self.counts["early"] += 1
            self._free_ns = max(self._free_ns, now_ns) + len(data) * settings.char_ns
        for request, reply in self._responder.feed(data):
            self._answer(request, reply)

    def _answer(self, request: bytes, reply: bytes) -> None:
        if not reply:
            return
        step = self._script.next_step()
        outcome = Outcome(reply) if step is None else self._script.spoil(step, request, reply)
        delay_ms = self._settings.latency_ms + outcome.delay_ms
        self.counts["replies"] += bool(outcome.frame)
        if self._settings.paced:
            start_ns = self._free_ns + self._settings.silence_ns + delay_ms * 1_000_000
            self._send_paced(outcome.frame, start_ns)
        else:
            if delay_ms:
                self._sleep_until(time.monotonic_ns() + delay_ms * 1_000_000)
            self._write(outcome.frame)

    def _send_paced(self, frame: bytes, start_ns: int) -> None:
        """The n-th byte when n characters are over, in groups, the last byte on time."""
        char_ns, end_ns, at = self._settings.char_ns, start_ns, 0
        end_ns += len(frame) * char_ns
        while at < len(frame) and not self._closing:
            group = max(1, _COALESCE_NS // char_ns)
            upto = min(at + group, len(frame))
            if upto < len(frame):
                self._sleep_until(start_ns + upto * char_ns)
            else:
                self._sleep_until(end_ns - _OVERSLEEP_NS)
                while time.monotonic_ns() < end_ns:
                    pass
            self._write(frame[at:upto])
            at = upto
        self._free_ns = max(self._free_ns, end_ns)

    def _write(self, data: bytes) -> None:
        while data and not self._closing:
            try:
                data = data[os.write(self._port.fd, data) :]
            except BlockingIOError:
                return  # nobody reads: lost, as on a wire

    def _sleep_until(self, until_ns: int) -> None:
        while (left_ns := until_ns - time.monotonic_ns()) > 0:
            if select.select([self._wake_read], [], [], left_ns / 1e9)[0]:
                return


def _make_link(link: Path, target: str) -> None:
    try:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(target)
    except OSError as error:
        raise BadInput(f"link {link}: {error.strerror}") from error
