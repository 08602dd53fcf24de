"""Listens to a meter on a serial port: telegrams as they come, and what is wrong meanwhile."""

import time
from collections.abc import Iterator
from typing import Any

import serial

from clsbench.errors import EnvironmentProblem
from clsbench.meters.sml_document import frame_document, readout_document
from dicamm.proto.d0 import READOUT, D0Receiver
from dicamm.proto.sml import FRAME, SmlReceiver
from dicamm.proto.sml_diagnosis import LineDiagnosis

TELL_AFTER_S = 8.0  # without a good telegram; meters push every 1 to 4 s
_WAIT_S = 0.1


class SmlListener:
    """Reads `port`; `good` counts SML telegrams and text readouts, `discarded` (reason -> number)
    what of SML was thrown away.

    Raises EnvironmentProblem where the port cannot be opened or fails.
    """

    def __init__(self, port: str, baud: int):
        self.good = 0
        self._port = port
        self._baud = baud
        self._sml = SmlReceiver()
        self._d0 = D0Receiver()
        self._diagnosis = LineDiagnosis()
        self._told: set[str] = set()

    @property
    def discarded(self) -> dict[str, int]:
        """Reason -> number, as of SmlReceiver."""
        return self._sml.discarded

    def run(self, seconds: float | None, count: int | None) -> Iterator[dict[str, Any]]:
        """Telegrams as `frame_document`, readouts as `readout_document` gives them, findings as
        {"finding", "number"}, each once; ends after `seconds`, `count` telegrams or Ctrl-C.
        """
        try:
            with serial.Serial(self._port, self._baud, timeout=_WAIT_S) as line:
                yield from self._read(line, seconds, count)
        except KeyboardInterrupt:
            pass
        except (serial.SerialException, OSError, ValueError) as error:
            raise EnvironmentProblem(f"meter port {self._port}: {error}") from error
        self._diagnosis.finish()
        yield from self._findings()

    def _read(
        self, line: serial.Serial, seconds: float | None, count: int | None
    ) -> Iterator[dict[str, Any]]:
        begun = quiet_since = time.monotonic()
        while seconds is None or time.monotonic() - begun < seconds:
            data = line.read(max(1, line.in_waiting))
            self._diagnosis.feed(data)
            for item in self._telegrams(data):
                self.good += 1
                quiet_since = time.monotonic()
                yield item
                if self.good == count:
                    return
            if time.monotonic() - quiet_since > TELL_AFTER_S:
                quiet_since = time.monotonic()
                yield from self._findings()

    def _telegrams(self, data: bytes) -> Iterator[dict[str, Any]]:
        self._sml.feed(data)
        while (event := self._sml.next_event()) is not None:
            if event.kind == FRAME:
                yield frame_document(event.data)
        self._d0.feed(data)
        while (event := self._d0.next_event()) is not None:
            if event.kind == READOUT:
                yield readout_document(event.data)

    def _findings(self) -> Iterator[dict[str, Any]]:
        for finding, number in self._diagnosis.findings():
            if finding not in self._told:
                self._told.add(finding)
                yield {"finding": finding, "number": number}
