"""Opens what `--port` names: a serial port, a pty, rfc2217:// or socket://.

Knows pyserial and what keeps a port from opening; knows nothing of what travels on it.
"""

import asyncio
import contextlib
import errno
import socket
import threading
import time
from typing import Any

import serial
import serial_asyncio
from serial.tools import list_ports

from clsbench.errors import EnvironmentProblem

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CLOSE_S = 0.5
PATIENCE_S = 1.0  # with a port that another program holds: one that ends lets go a moment later
_AGAIN_S = 0.05
_READ_S = 0.1
_BUSY = (errno.EBUSY, errno.EAGAIN)
_REFUSALS = (OSError, ValueError, serial.SerialException)


async def open_port(port: str, baud: int) -> Streams:
    """Reader and writer of the port. Raises EnvironmentProblem with cause and next step."""
    waiting = _Waiting(port)
    while True:
        try:
            if port.startswith("rfc2217://"):
                return await _open_threaded(port, baud)
            return await serial_asyncio.open_serial_connection(
                url=port, baudrate=baud, **owned(port)
            )
        except _REFUSALS as error:
            pause_s = waiting.pause_s(error)
        await asyncio.sleep(pause_s)


def open_serial(port: str, baud: int, timeout_s: float) -> Any:
    """The port as pyserial has it, for threads. Raises EnvironmentProblem as `open_port`."""
    waiting = _Waiting(port)
    while True:
        try:
            return serial.serial_for_url(port, baudrate=baud, timeout=timeout_s, **owned(port))
        except _REFUSALS as error:
            pause_s = waiting.pause_s(error)
        time.sleep(pause_s)


async def close_port(writer: asyncio.StreamWriter) -> None:
    """Gives the port back: on return the next one may open it. What the other end has not taken
    CLOSE_S later is dropped."""
    writer.close()
    for _ in range(2):
        # a port that went away is as closed as one that was given back: nothing is left to tell
        with contextlib.suppress(TimeoutError, OSError, serial.SerialException):
            await asyncio.wait_for(asyncio.shield(writer.wait_closed()), CLOSE_S)
            return
        writer.transport.abort()


def owned(port: str) -> dict[str, Any]:
    """Arguments with which pyserial opens a port for one program alone, as mpremote does: two that
    talk to a board at once each get half of its answers. A port of a URL is its server's."""
    return {} if "://" in port else {"exclusive": True}


def found_ports() -> list[str]:
    """The serial ports of this machine with what is plugged in, such as `/dev/ttyACM0 (Pico)`."""
    found = []
    for each in sorted(list_ports.comports()):
        known = each.description not in (None, "", "n/a")
        found.append(f"{each.device} ({each.description})" if known else each.device)
    return found


class _Waiting:
    """For a port that another program holds to be let go, from now on PATIENCE_S long."""

    def __init__(self, port: str):
        self._port = port
        self._until = time.monotonic() + PATIENCE_S

    def pause_s(self, error: Exception) -> float:
        """Until the next try, after one that ended in `error`. Raises EnvironmentProblem where a
        next one is of no use."""
        if not _is_held(error) or time.monotonic() > self._until:
            raise port_problem(self._port, error) from error
        return _AGAIN_S


def _is_held(error: Exception) -> bool:
    return getattr(error, "errno", None) in _BUSY or "exclusively lock" in str(error)


def port_problem(port: str, error: Exception) -> EnvironmentProblem:
    """What a port that does not open raises: cause and next step."""
    number = getattr(error, "errno", None)
    cause = errno_text(error)
    if "://" in port:
        step = "Does the server run there, and has it no other client?"
    elif number == errno.EACCES:
        step = "You may not use it: on Linux join its group (ls -l shows it), then log in anew."
    elif _is_held(error):
        step = "Another program holds it: a terminal, mpremote, or another clsbench."
    else:
        found = ", ".join(found_ports()) or "none"
        step = f"Ports found here: {found}. Is the board plugged in?"
    return EnvironmentProblem(f"port {port} cannot be opened: {cause}.\n  {step}")


def errno_text(error: Exception) -> str:
    """The operating system's words for an error of pyserial, which wraps them several times."""
    return str(error).rsplit("] ", 1)[-1].removesuffix(".")


async def _open_threaded(port: str, baud: int) -> Streams:
    """For ports without a file descriptor: two threads carry bytes to and from a socket pair."""
    device = await asyncio.to_thread(serial.serial_for_url, port, baudrate=baud, timeout=_READ_S)
    ours, theirs = socket.socketpair()
    for carry in (_carry_in, _carry_out):
        threading.Thread(target=carry, args=(device, theirs), daemon=True, name=port).start()
    return await asyncio.open_connection(sock=ours)


def _carry_in(device: serial.Serial, pair: socket.socket) -> None:
    try:
        while device.is_open:
            data = device.read(1) + device.read_all()
            if data:
                pair.sendall(data)
    except (OSError, serial.SerialException):
        pass  # either side has gone; the shutdown tells the other one
    _shut(pair)


def _carry_out(device: serial.Serial, pair: socket.socket) -> None:
    try:
        while data := pair.recv(4096):
            device.write(data)
    except (OSError, serial.SerialException):
        pass
    _shut(pair)
    device.close()


def _shut(pair: socket.socket) -> None:
    try:
        pair.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # shut by the other thread already
