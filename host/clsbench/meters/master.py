"""The master of a Modbus line on the bench PC: the device's own client on a serial port.

Knows a port (path, rfc2217:// or socket://), the silence of the bus, deadlines and tries; what a
frame means is the device's `RtuClient`. Knows no register.
"""

import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import serial

from clsbench.errors import EnvironmentProblem
from clsbench.meters.catalogue import MAX_READ, MeterModel
from clsbench.meters.rtu_line import is_pty
from dicamm.proto import modbus, modbus_pdu, modbus_timing

_POLL_S = 0.01
_TRY_AGAIN = (5, 6)  # exceptions that say "later": acknowledge, device busy


@dataclass(frozen=True, slots=True)
class Line:
    """Settings of the wire. assumed: names of those that nobody stated."""

    baud: int = 9600
    parity: str = "none"
    stop_bits: int = 1
    assumed: tuple[str, ...] = ()

    @property
    def bits_per_char(self) -> int:
        return 9 + (self.parity != "none") + self.stop_bits

    def __str__(self) -> str:
        return f"{self.baud} 8{self.parity[0].upper()}{self.stop_bits}"


@dataclass(frozen=True, slots=True)
class Patience:
    """timeout_ms: for a reply, beyond its time on the wire. tries: requests until giving up."""

    timeout_ms: int = 300
    tries: int = 3


@dataclass(slots=True)
class Exchange:
    """What became of one request.

    error: a name of `modbus_pdu.ERROR_NAMES`, "none" when all is well.
    sent, received: the bytes of the last try. captured_ms: UTC when the reply was whole.
    """

    error: str
    payload: bytes = b""
    exception: int = 0
    sent: bytes = b""
    received: bytes = b""
    captured_ms: int = 0


class SerialMaster:
    """The master of one line. Raises EnvironmentProblem where the port cannot be opened.

    port: what pyserial takes. discarded: what the client threw away, reason -> number.
    """

    def __init__(self, port: str, line: Line, patience: Patience | None = None):
        self.port, self.line = port, line
        self.patience = patience or Patience()
        self._client = modbus.RtuClient()
        self._serial = _open(port, line)
        self._quiet_since = time.monotonic()

    @property
    def discarded(self) -> dict[str, int]:
        return dict(self._client.discarded)

    def close(self) -> None:
        """Frees the port."""
        self._serial.close()

    def __enter__(self) -> "SerialMaster":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def set_line(self, line: Line) -> None:
        """Changes the wire's settings. Raises EnvironmentProblem where the port refuses them."""
        self.line = line
        try:
            self._serial.baudrate = line.baud
            self._serial.stopbits = line.stop_bits
            if not is_pty(self.port):
                self._serial.parity = line.parity[0].upper()
        except (serial.SerialException, ValueError, OSError) as error:
            raise EnvironmentProblem(f"port {self.port} refuses {line}: {error}") from error
        self.settle()

    def settle(self) -> None:
        """Throws away what still arrives, until the line has been quiet for 50 ms."""
        end = time.monotonic() + 1
        quiet = time.monotonic()
        while time.monotonic() - quiet < 0.05 and time.monotonic() < end:
            if self._receive():
                quiet = time.monotonic()

    def read(self, unit: int, function: int, address: int, count: int) -> Exchange:
        """`count` registers, in as many tries as patience allows; "busy" is no answer yet."""
        exchange = Exchange("timeout")
        for _ in range(self.patience.tries):
            exchange = self._transaction(unit, function, address, count)
            busy = exchange.error == "exception" and exchange.exception in _TRY_AGAIN
            if exchange.error in ("none", "exception") and not busy:
                break
        return exchange

    def reply_ms(self, count: int) -> int:
        """The longest that one try of `count` registers takes at this line, all included."""
        wire_us = modbus_timing.wire_time_us(
            13 + 2 * count, self.line.baud, self.line.bits_per_char
        )
        slack_us = 2 * modbus_timing.silence_us(self.line.baud) + 30_000
        return self.patience.timeout_ms + (wire_us + slack_us) // 1000

    def raw_exchange(self, request: bytes, enough: Callable[[bytes], bool]) -> bytes:
        """Sends a frame the client has no words for; what came until `enough` or the deadline."""
        self._keep_silence()
        self._write(request)
        end = time.monotonic() + self.reply_ms(MAX_READ) / 1000
        received = b""
        while time.monotonic() < end and not enough(received):
            received += self._receive()
        self._quiet_since = time.monotonic()
        return received

    def _transaction(self, unit: int, function: int, address: int, count: int) -> Exchange:
        client = self._client
        sent = bytes(client.read(unit, function, address, count))
        self._keep_silence()
        self._write(sent)
        end = time.monotonic() + self.reply_ms(count) / 1000
        received = bytearray()
        status = modbus_pdu.PENDING
        while status == modbus_pdu.PENDING:
            data = self._receive()
            received += data
            if data:
                status = client.feed(data)
            elif time.monotonic() > end:
                status = client.timeout()
        captured_ms = time.time_ns() // 1_000_000
        self._quiet_since = time.monotonic()
        error = modbus_pdu.ERROR_NAMES[client.error]
        if error not in ("none", "exception", "timeout"):
            self.settle()
        payload = bytes(client.payload) if error == "none" else b""
        return Exchange(error, payload, client.exception_code, sent, bytes(received), captured_ms)

    def _keep_silence(self) -> None:
        silence_s = modbus_timing.silence_us(self.line.baud) / 1e6
        while self._serial.in_waiting:
            self._receive()
            self._quiet_since = time.monotonic()
        left_s = self._quiet_since + silence_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)

    def _receive(self) -> bytes:
        try:
            return self._serial.read(max(1, min(self._serial.in_waiting, 256)))
        except (serial.SerialException, OSError) as error:
            raise EnvironmentProblem(f"port {self.port} failed while reading: {error}") from error

    def _write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except (serial.SerialException, OSError) as error:
            raise EnvironmentProblem(f"port {self.port} failed while writing: {error}") from error


def _open(port: str, line: Line) -> Any:
    parity = "N" if is_pty(port) else line.parity[0].upper()
    options = {"parity": parity, "stopbits": line.stop_bits, "timeout": _POLL_S}
    try:
        return serial.serial_for_url(port, line.baud, **options)
    except (serial.SerialException, ValueError, OSError, termios.error) as error:
        raise EnvironmentProblem(
            f"port {port}: {error}\n  Is the adapter plugged in, and may you open it? "
            "Ports of this machine: python -m serial.tools.list_ports"
        ) from error


def line_of(model: MeterModel | None, **given: Any) -> Line:
    """The line from what the user gave, else the model's delivery settings, else 9600 8N1.

    given: baud, parity, stop_bits; None: not given.
    """
    usual = {"baud": 9600, "parity": "none", "stop_bits": 1}
    chosen, assumed = {}, []
    for name, fallback in usual.items():
        stated = getattr(model.bus, name) if model is not None else None
        chosen[name] = given.get(name) or stated or fallback
        if not given.get(name) and not stated:
            assumed.append(name)
    return Line(**chosen, assumed=tuple(assumed))
