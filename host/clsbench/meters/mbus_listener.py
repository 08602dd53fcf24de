"""Listens to M-Bus on a serial port: a wired line, or the receiver module of a wireless one.

Knows ports and silences; what the bytes say is read by the device's cores. Wired meters answer
only when they are asked: `WiredLine` hears whoever asks, or asks itself (`ask`).
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import serial

from clsbench.errors import EnvironmentProblem
from clsbench.meters.mbus_document import MbusReader
from clsbench.meters.rtu_line import is_pty
from clsbench.meters.wmbus_document import WmbusReader
from dicamm.proto import mbus_master

Plain = dict[str, Any]

MAX_TELEGRAMS = 16  # of one reading
_POLL_S = 0.02
_SILENCE_S = 0.1  # ends a telegram: far more than any gap inside, less than between two
_SLACK_S = 0.15  # of PCs and adapters, on top of the times of the standard


Take = Callable[[bytes], list[Plain]]


class _Line:
    """One port for as long as `with` lasts. Raises EnvironmentProblem where it fails.

    feed: gives the frames that end in received bytes; silence: those that a silence ends.
    """

    def __init__(
        self, port: str, baud: int, parity: str, feed: Take, silence: Callable[[], list[Plain]]
    ):
        self.port, self.baud = port, baud
        self._parity, self._feed, self._silence = parity, feed, silence

    def __enter__(self) -> Any:
        parity = "N" if is_pty(self.port) else self._parity
        try:
            self._serial = serial.serial_for_url(
                self.port, self.baud, parity=parity, timeout=_POLL_S
            )
        except (serial.SerialException, OSError, ValueError) as error:
            raise EnvironmentProblem(
                f"M-Bus port {self.port}: {error}\n  Is the level converter or receiver plugged "
                "in, and may you open it?"
            ) from error
        return self

    def __exit__(self, *_exc: object) -> None:
        self._serial.close()

    def _received(self) -> bytes:
        try:
            return self._serial.read(max(1, self._serial.in_waiting))
        except (serial.SerialException, OSError) as error:
            raise EnvironmentProblem(f"M-Bus port {self.port} failed: {error}") from error

    def run(self, seconds: float | None) -> Iterator[Plain]:
        """Frames as they come, in the words of the documents; until `seconds` or Ctrl-C."""
        begun = quiet_since = time.monotonic()
        begins = False
        try:
            while seconds is None or time.monotonic() - begun < seconds:
                data = self._received()
                if data:
                    quiet_since, begins = time.monotonic(), True
                    yield from self._feed(data)
                elif begins and time.monotonic() - quiet_since > _SILENCE_S:
                    begins = False
                    yield from self._silence()
        except KeyboardInterrupt:
            pass
        yield from self._silence()


class WiredLine(_Line):
    """A wired M-Bus, 8 data bits and even parity. discarded: reason -> number."""

    def __init__(self, port: str, baud: int = 2400):
        self._reader = MbusReader()
        super().__init__(port, baud, "E", self._reader.feed, self._reader.silence)
        self.discarded = self._reader.discarded

    def ask(self, address: int | bytes, tries: int = 3) -> Iterator[Plain]:
        """All telegrams of one reading; address: primary, or eight bytes of a secondary one.

        Raises EnvironmentProblem where the meter does not answer.
        """
        master = mbus_master.MbusMaster()
        place = mbus_master.SELECTED if isinstance(address, bytes) else address
        self._once(master, master.reset(place))
        if isinstance(address, bytes):
            self._again(master, master.select(address), address, tries)
        for _ in range(MAX_TELEGRAMS):
            self._again(master, master.request(place), address, tries)
            assert master.frame is not None
            frame = mbus_master.long_frame(
                master.frame.control, master.frame.address, master.frame.data
            )
            (said,) = self._reader.feed(frame)
            yield said
            if not said["more"]:
                return

    def _again(
        self, master: mbus_master.MbusMaster, request: bytes, address: int | bytes, tries: int
    ) -> None:
        for attempt in range(tries):
            if self._once(master, master.repeat() if attempt else request) == mbus_master.DONE:
                return
        shown = address.hex() if isinstance(address, bytes) else address
        raise EnvironmentProblem(
            f"M-Bus meter {shown} on {self.port}: {mbus_master.ERROR_NAMES[master.error]} "
            f"({tries} tries at {self.baud} baud)\n  Sent {request.hex(' ')}. Check the address, "
            "the baud rate and whether the level converter is powered."
        )

    def _once(self, master: mbus_master.MbusMaster, request: bytes) -> int:
        self._serial.reset_input_buffer()
        self._serial.write(request)
        sent_s = time.monotonic() + 11 * len(request) / self.baud
        answer_s = mbus_master.answer_us(self.baud) / 1e6 + _SLACK_S
        limit = sent_s + answer_s
        while master.status == mbus_master.PENDING:
            data = self._received()
            if data:
                master.feed(data)
                limit = time.monotonic() + mbus_master.gap_us(self.baud) / 1e6 + _SLACK_S
            elif time.monotonic() > limit:
                master.silence()
        return master.status


class WirelessLine(_Line):
    """Bytes of a receiver module: telegrams, length field first, silence between them."""

    def __init__(self, port: str, baud: int = 9600, key: bytes | None = None):
        super().__init__(port, baud, "N", self._gather, self._read)
        self._reader = WmbusReader(key)
        self._waiting = b""
        self.discarded: dict[str, int] = {}

    def _gather(self, data: bytes) -> list[Plain]:
        self._waiting += data
        return []

    def _read(self) -> list[Plain]:
        document = self._reader.document([self._waiting])
        self._waiting = b""
        for reason, number in document["discarded"].items():
            self.discarded[reason] = self.discarded.get(reason, 0) + number
        return document["frames"]
