"""A base meter on a pseudo terminal of its own: pushes a telegram when told to.

For runs with many meters in one program: no thread, no pace, the register rises by one with
each telegram. Knows nothing of who listens.
"""

import os

from clsbench.clock import BenchClock
from clsbench.hil.ptys import Pty
from clsbench.meters.device_id import server_id
from clsbench.meters.sml_encode import obis_bytes, telegram

IMPORT = "1-0:1.8.0*255"
_STATUS = 0x1C0104


class PtyMeter:
    """port: what a gateway opens. sent_ms: register value -> bench time of its telegram's write.

    raw: what the register shows. unread: telegrams that found no room, because nobody reads the
    line.
    """

    def __init__(self, meter_id: str, clock: BenchClock, first_raw: int = 1000):
        self.meter_id = meter_id
        self.sent_ms: dict[int, int] = {}
        self.unread = 0
        self._clock = clock
        self._server_id = server_id(meter_id)
        self._line = Pty()
        self.raw = first_raw
        self.port = self._line.path

    def push(self) -> None:
        """One telegram, in one write."""
        self.raw += 1
        at_ms = self._clock.now_ms()
        values = [(obis_bytes(IMPORT), self.raw, -1, 30, _STATUS)]
        data = telegram(self._server_id, values, at_ms // 1000 & 0xFFFFFFFF, self.raw)
        try:
            whole = os.write(self._line.master, data) == len(data)
        except BlockingIOError:
            whole = False
        if whole:
            self.sent_ms[self.raw] = at_ms
        else:
            self.unread += 1

    def close(self) -> None:
        """Takes the line away."""
        self._line.close()
