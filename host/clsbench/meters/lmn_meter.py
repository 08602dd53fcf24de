"""Base meters on the LMN side: one that counts, and one that plays a captured file.

Both push SML telegrams on a serial path from a thread of their own and keep the last ones
sent for the checks. Bytes leave in one write per telegram; the line keeps the baud rate.
"""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import serial

from clsbench.clock import BenchClock
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.meters.device_id import server_id
from clsbench.meters.port_thread import PortThread
from clsbench.meters.sml_encode import Value, obis_bytes, telegram
from clsbench.meters.sml_faults import SmlFaults
from clsbench.meters.sml_second_reader import frames

Reading = tuple[str, int, int, int]
"""(OBIS text, raw, scaler, unit as DLMS code): value = raw * 10**scaler."""

KEPT = 256  # telegrams kept in `sent`
_WRITE_TIMEOUT_S = 2
_MANUFACTURER = obis_bytes("1-0:96.50.1*1")
_DEVICE_ID = obis_bytes("1-0:96.1.0*255")


class Sent(NamedTuple):
    """One write to the line: bench time of forming the values (None: played from a file)."""

    utc_ms: int | None
    readings: list[Reading]
    data: bytes


class SmlPusher(PortThread):
    """A thread that writes telegrams to `port` every `interval_ms_real` of real time.

    sent: the last KEPT writes, oldest first. count: all of them. lost: telegrams the line did not
    take because nobody reads it.
    """

    def __init__(self, port: str, interval_ms_real: int, baud: int = 9600):
        if interval_ms_real < 1:
            raise BadInput(f"interval {interval_ms_real} ms of meter on {port}: must be 1 or more")
        super().__init__("sml-meter", port, baud, write_timeout=_WRITE_TIMEOUT_S)
        self.sent: deque[Sent] = deque(maxlen=KEPT)
        self.count = 0
        self.lost = 0
        self._interval_s = interval_ms_real / 1000

    def _serve(self, line: serial.Serial) -> None:
        for sent in self._telegrams():
            if sent is not None:
                self._write(line, sent)
            if self._stopping.wait(self._interval_s):
                return

    def _write(self, line: serial.Serial, sent: Sent) -> None:
        try:
            line.write(sent.data)
        except serial.SerialTimeoutException:
            self.lost += 1
            return
        except serial.SerialException as error:
            raise EnvironmentProblem(f"meter port {self._port}: write failed: {error}") from error
        self.sent.append(sent)
        self.count += 1

    def _telegrams(self) -> Iterator[Sent | None]:
        """What to write at each interval; None: nothing now. Each kind of meter has its own."""
        raise NotImplementedError


class LmnMeter(SmlPusher):
    """A base meter that pushes its readings.

    read_values: called in the meter's thread with bench time (Unix ms); returns the readings.
    Faults, to be set at any time: `silent` sends nothing; `crc_errors` sends every telegram
    with one bit of its transport checksum wrong. faults: a script of more, by telegrams.
    """

    def __init__(
        self,
        port: str,
        clock: BenchClock,
        meter_id: str = "1EMH0098765432",
        interval_ms_real: int = 50,
        *,
        read_values: Callable[[int], list[Reading]],
        baud: int = 9600,
        faults: SmlFaults | None = None,
    ):
        super().__init__(port, interval_ms_real, baud)
        self.meter_id = meter_id
        self.faults = faults or SmlFaults()
        self.silent = False
        self.crc_errors = False
        self._server_id = server_id(meter_id)
        self._clock = clock
        self._read_values = read_values
        self._started_ms = clock.now_ms()

    def _telegrams(self) -> Iterator[Sent | None]:
        number = 0
        while True:
            number += 1
            yield None if self.silent else self._telegram(number)

    def _telegram(self, number: int) -> Sent | None:
        utc_ms = self._clock.now_ms()
        readings = self._read_values(utc_ms)
        step = self.faults.next_step()
        values = self.faults.values(step, meter_values(self.meter_id, readings))
        sec_index = (utc_ms - self._started_ms) // 1000
        data = self.faults.spoil(step, telegram(self._server_id, values, sec_index, number))
        if self.crc_errors:
            data = data[:-1] + bytes((data[-1] ^ 1,))
        return Sent(utc_ms, readings, data) if data else None


def meter_values(meter_id: str, readings: list[Reading]) -> list[Value]:
    """The value list of a base meter: maker, device id, then its readings."""
    values: list[Value] = [
        (_MANUFACTURER, meter_id[1:4].encode("ascii"), None, None, None),
        (_DEVICE_ID, server_id(meter_id), None, None, None),
    ]
    return values + [
        (obis_bytes(obis), raw, scaler, unit, None) for obis, raw, scaler, unit in readings
    ]


class CapturePlayer(SmlPusher):
    """Replays a captured file in a loop, one telegram per interval, with the noise before it.

    Every byte of the file is sent: broken telegrams and what lies between go out glued to the
    next good one, what is left at the end of the file by itself.
    """

    def __init__(self, port: str, path: Path, interval_ms_real: int = 50, *, baud: int = 9600):
        super().__init__(port, interval_ms_real, baud)
        self._pieces = split_capture(_read_capture(path))

    def _telegrams(self) -> Iterator[Sent | None]:
        while True:
            for piece in self._pieces:
                yield Sent(None, [], piece)


def split_capture(data: bytes) -> list[bytes]:
    """`data` cut behind every good telegram; the pieces joined are `data`."""
    pieces = []
    begin = 0
    for frame in frames(data):
        end = frame["offset"] + frame["length"]
        pieces.append(data[begin:end])
        begin = end
    return [*pieces, data[begin:]] if data[begin:] else pieces


def _read_capture(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"capture {path}: cannot be read: {error.strerror}") from error
    if not data:
        raise BadInput(f"capture {path}: is empty; give a file of received meter bytes")
    return data
