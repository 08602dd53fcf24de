"""Simulated wired M-Bus meters on one serial port, and how they can misbehave.

Knows the slave's side of EN 13757-2: addresses, selection, the frame count bit; which values
are sent is told by the caller. Slaves that answer at once are heard as on the wire: a bit is
1 only where all send 1.
"""

import threading
import time
from collections.abc import Callable

import serial

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.meters.mbus_encode import (
    ACKNOWLEDGE,
    MORE_FOLLOWS,
    RSP_UD,
    long_frame,
    telegram,
)
from clsbench.meters.mbus_faults import MbusFaults, MbusFaultScript
from clsbench.meters.rtu_line import is_pty

_SELECTED = 253
_ANY = 254
_BROADCAST = 255
_SND_NKE = 0x40
_SND_UD = 0x43
_REQ_UD2 = 0x4B
_FCB = 0x20
_FCV = 0x10
_GAP_S = 0.05  # silence after which a begun request is given up
_POLL_S = 0.005


class MbusMeter:
    """One slave.

    address: primary, 0 to 250. secondary: eight bytes (mbus_encode.secondary_address).
    read_records: called for every new reading, returns the records of each telegram. script:
    tells the faults of each request, None: those set in `faults`. served: readings given out.
    """

    def __init__(
        self,
        address: int,
        secondary: bytes,
        read_records: Callable[[], list[bytes]],
        script: MbusFaultScript | None = None,
    ):
        if not 0 <= address <= 250 or len(secondary) != 8:
            raise BadInput(f"M-Bus meter: address {address}, secondary {secondary.hex()}")
        self.address, self.secondary = address, secondary
        self.faults = MbusFaults()
        self.served = 0
        self._script = script
        self._read_records = read_records
        self._selected = False
        self._count: int | None = None  # frame count bit of the last request
        self._answer = b""
        self._telegrams: list[bytes] = []
        self._access = 0

    def answer(self, request: bytes) -> bytes:
        """The bytes this meter sends on a whole request, b"" for none."""
        long = request[0] == 0x68
        control, address = request[4:6] if long else request[1:3]
        data = request[6:-2] if long else b""
        selects = long and data[:1] == b"\x52" and address == _SELECTED
        if not selects and not self._addressed(address):
            return b""
        if self._script is not None:
            self.faults = self._script.next_faults()
        if selects:
            return self._spoilt(self._select(data[1:9]))
        return self._spoilt(self._serve(control & ~(_FCB | _FCV), control, data))

    def _addressed(self, address: int) -> bool:
        return address in (self.address, _ANY) or (address == _SELECTED and self._selected)

    def _select(self, wanted: bytes) -> bytes:
        self._selected = all(
            _digit_fits(want >> shift & 15, own >> shift & 15)
            for want, own in zip(wanted[:4], self.secondary)
            for shift in (0, 4)
        ) and all(want in (0xFF, own) for want, own in zip(wanted[4:], self.secondary[4:]))
        self._count = None
        return ACKNOWLEDGE if self._selected else b""

    def _serve(self, kind: int, control: int, data: bytes) -> bytes:
        if kind == _SND_NKE:
            self._selected = False
            self._count, self._telegrams = None, []
            return ACKNOWLEDGE
        repeated = bool(control & _FCV) and self._count == control & _FCB
        self._count = control & _FCB
        if repeated:
            return self._answer
        if kind == _SND_UD:
            self._answer = self._command(data)
        elif kind == _REQ_UD2:
            self._answer = self._data()
        else:
            self._answer = b""
        return self._answer

    def _command(self, data: bytes) -> bytes:
        if data[:3] == b"\x51\x01\x7a" and len(data) == 4:
            self.address = data[3]
        elif data[:1] == b"\x50":
            self._telegrams = []
        return ACKNOWLEDGE

    def _data(self) -> bytes:
        if self.faults.application_error is not None:
            return long_frame(RSP_UD, self.address, bytes([0x70, self.faults.application_error]))
        if not self._telegrams:
            self._telegrams = self._read_records()
            self._access += 1
        records = self._telegrams.pop(0)
        if self._telegrams:
            records += MORE_FOLLOWS
        else:
            self.served += 1
        return long_frame(RSP_UD, self.address, telegram(self.secondary, records, self._access))

    def _spoilt(self, answer: bytes) -> bytes:
        faults = self.faults
        if not answer:
            return b""
        if faults.answers is not None:
            faults.answers -= 1
            if faults.answers <= 0:
                self.faults = MbusFaults()
        if faults.silent or (faults.deaf and answer != ACKNOWLEDGE):
            return b""
        if faults.checksum_errors and len(answer) > 1:
            answer = answer[:-3] + bytes([answer[-3] ^ 0x10]) + answer[-2:]
        if faults.slow_ms:
            time.sleep(faults.slow_ms / 1000)
        return faults.noise + answer


class MbusSlaves:
    """The meters of one line, served from a thread. Raises EnvironmentProblem on start."""

    def __init__(self, port: str, meters: list[MbusMeter], baud: int = 2400):
        self.meters = meters
        self._port, self._baud = port, baud
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mbus-slaves", daemon=True)
        self._line: serial.Serial | None = None

    def start(self) -> "MbusSlaves":
        """Opens the port and begins to serve."""
        try:
            parity = "N" if is_pty(self._port) else "E"
            self._line = serial.Serial(self._port, self._baud, parity=parity, timeout=_POLL_S)
        except (OSError, serial.SerialException) as error:
            raise EnvironmentProblem(
                f"M-Bus meters: cannot open {self._port}: {error}. Does it exist, and is no other "
                "program using it?"
            ) from error
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends serving and frees the port."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._line is not None:
            self._line.close()

    def __enter__(self) -> "MbusSlaves":
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _run(self) -> None:
        line = self._line
        assert line is not None
        received, last_s = b"", time.monotonic()
        while not self._stopping.is_set():
            data = line.read(256)
            if data:
                received, last_s = received + data, time.monotonic()
            elif received and time.monotonic() - last_s > _GAP_S:
                received = b""
            request, received = _whole(received)
            if request:
                answers = [meter.answer(request) for meter in self.meters]
                address = request[5] if request[0] == 0x68 else request[2]
                if address != _BROADCAST:
                    line.write(collided([answer for answer in answers if answer]))


def collided(answers: list[bytes]) -> bytes:
    """What the master hears of several answers: a byte of each later than the one before.

    Acknowledgements are heard as one: their bytes are equal, and so short that they overlap.
    """
    late = any(len(answer) > 1 for answer in answers)
    heard = bytearray()
    for begin, answer in enumerate(answers):
        for place, byte in enumerate(answer, begin if late else 0):
            heard += b"\xff" * (place + 1 - len(heard))
            heard[place] &= byte
    return bytes(heard)


def _digit_fits(wanted: int, own: int) -> bool:
    return wanted in (0xF, own)


def _whole(received: bytes) -> tuple[bytes, bytes]:
    """(first whole frame or b"", the bytes behind it); what is none is dropped."""
    while received and received[0] not in (0x10, 0x68):
        received = received[1:]
    size = 5 if received[:1] == b"\x10" else received[1] + 6 if len(received) > 3 else 0
    if not size or len(received) < size:
        return b"", received
    frame, rest = received[:size], received[size:]
    body = frame[1:-2] if size == 5 else frame[4:-2]
    good = frame[-1] == 0x16 and sum(body) & 0xFF == frame[-2]
    return (frame, rest) if good else (b"", rest)
