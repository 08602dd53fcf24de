"""A board's console behind a port name of pyserial: read all the time, opened again when it goes.

A chip whose USB is its own leaves the bus at every reset; the port comes back some time later,
under the same or another path. Knows bytes and ports, no protocol.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import serial
from serial.tools import list_ports

from clsbench.device.ports import open_serial
from clsbench.errors import EnvironmentProblem

BY_NUMBER = "serial:"  # then the USB serial number
KEPT = 1 << 20  # bytes for a test that does not read
_READ_S = 0.1
_WRITE_S = 5.0
_REOPEN_S = 0.1


def resolve(port: str) -> str:
    """The path or URL to open: `serial:NUMBER` is looked up among the ports that are there.

    Raises EnvironmentProblem when no such device is plugged in.
    """
    if not port.startswith(BY_NUMBER):
        return port
    wanted = port.removeprefix(BY_NUMBER)
    found = {each.serial_number: each.device for each in list_ports.comports()}
    if wanted not in found:
        known = ", ".join(sorted(number for number in found if number)) or "none"
        raise EnvironmentProblem(f"no port with USB serial number {wanted}. Plugged in: {known}")
    return found[wanted]


class PortConsole:
    """`open` begins, `close` ends; in between `lend` frees the port for another program."""

    def __init__(self, port: str, baud: int = 115200):
        self.port = port
        self._baud = baud
        self._device: serial.SerialBase | None = None
        self._received = bytearray()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Between `open` and `close`, also while the port itself is away."""
        return self._thread is not None

    def open(self, attempts_s: float = 0.0) -> None:
        """Opens the port, trying for so long. Raises EnvironmentProblem. May be called twice."""
        if self.is_open:
            return
        self._closing.clear()
        end = time.monotonic() + attempts_s
        while not self._try_open():
            if time.monotonic() >= end:
                self._open_device()  # says why
            time.sleep(_REOPEN_S)
        self._thread = threading.Thread(target=self._run, name=f"console {self.port}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Gives the port back. May be called twice."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._drop()

    @contextlib.contextmanager
    def lend(self) -> Iterator[str]:
        """The port's path or URL while nothing here has it open."""
        self.close()
        try:
            yield resolve(self.port)
        finally:
            self.open(attempts_s=10.0)

    def write(self, data: bytes) -> None:
        device = self._device
        if device is not None:
            with contextlib.suppress(OSError, serial.SerialException):  # its supply is off
                device.write(data)

    def read(self) -> bytes:
        if not self._received:
            return b""
        with self._lock:
            data, self._received = bytes(self._received), bytearray()
        return data

    def use(self, action: Callable[[serial.SerialBase], object]) -> object:
        """What `action` gives of the open port (modem lines), None while there is none."""
        device = self._device
        if device is None:
            return None
        try:
            return action(device)
        except (OSError, serial.SerialException):
            return None

    def _run(self) -> None:
        while not self._closing.is_set():
            device = self._device
            if device is None:
                if not self._try_open():
                    self._closing.wait(_REOPEN_S)
                continue
            try:
                data = device.read(1)
                data += device.read_all() or b"" if data else b""
            except (OSError, TypeError, serial.SerialException):
                self._drop()  # TypeError: pyserial of a port that is being closed
                continue
            if data:
                with self._lock:
                    self._received += data
                    del self._received[:-KEPT]

    def _try_open(self) -> bool:
        try:
            self._open_device()
        except EnvironmentProblem:
            return False
        return True

    def _open_device(self) -> None:
        name = resolve(self.port)
        device = open_serial(name, self._baud, _READ_S)
        if "://" not in name:  # URLs have none
            device.write_timeout = _WRITE_S
        self._device = device

    def _drop(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            with contextlib.suppress(OSError, serial.SerialException):
                device.close()
