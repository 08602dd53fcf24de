"""The MID meter of a HIL bench: registers that stand still until a test moves them.

The peer on a board's bus (see `board.Peer`). Answers as the meter of the catalogue does, and
misbehaves as told. Knows no time but the delay of its replies, so it serves on any board.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from clsbench.hil.board import Reply
from clsbench.meters.catalogue import MAX_READ, load
from clsbench.meters.fault_script import FaultScript, Step
from clsbench.meters.fault_steps import FOREVER
from clsbench.meters.load import W_MS_PER_WH, Reading
from clsbench.meters.registers import ILLEGAL_FUNCTION, MeterValues, RegisterBank
from clsbench.meters.rtu_responder import RtuResponder

MODEL = "eastron_sdm630"
IMPORT = "1-0:1.8.0*255"
IMPORT_SCALER = 1  # the meter counts 0.01 kWh
LATENCY_S = 0.005  # between a request and its reply: more than 3.5 characters at 9600 baud


class BenchMeter:
    """`wh`: what the import register shows (steps of 10 Wh); `power_w`. requests: answered so
    far, spoiled ones included."""

    objects: Mapping[int, bytes] = {}

    def __init__(self, unit: int = 1, wh: int = 1_000_000):
        self.power_w = 0
        self.requests = 0
        model = load(MODEL)
        bus = model.bus
        self._phases = model.phases
        self._bank = RegisterBank(
            model.registers, bus.max_registers or MAX_READ, bus.max_gap, bus.word_order
        )
        self._wh = wh
        self._revision = 0
        self._responder = RtuResponder({unit: self})
        self._script = FaultScript()
        self._lock = threading.Lock()

    @property
    def wh(self) -> int:
        return self._wh

    @wh.setter
    def wh(self, wh: int) -> None:
        with self._lock:
            self._wh = wh
            self._revision += 1

    def misbehave(self, kind: str, count: int = FOREVER, **how: Any) -> None:
        """From the next request on; kinds and details as `meters.fault_script.Step`."""
        with self._lock:
            self._script = FaultScript([Step(kind=kind, count=count, **how)])

    def heal(self) -> None:
        """Answers well again."""
        with self._lock:
            self._script = FaultScript()

    def __call__(self, frame: bytes) -> Sequence[Reply]:
        """What goes out for a frame of the board."""
        with self._lock:
            exchanges = self._responder.feed(frame) + self._responder.silence()
            return [reply for exchange in exchanges for reply in self._reply(*exchange)]

    # as a unit of the responder

    def revision(self) -> int:
        return self._revision

    def read(self, function: int, address: int, count: int) -> bytes | int:
        values = MeterValues(Reading(0, self._wh * W_MS_PER_WH, self.power_w), 0, self._phases)
        return self._bank.read(function, address, count, values)

    def write(self, address: int, data: bytes) -> int:
        return ILLEGAL_FUNCTION

    def _reply(self, request: bytes, reply: bytes) -> list[Reply]:
        self.requests += 1
        step = self._script.next_step()
        if step is None:
            return [(LATENCY_S, reply)]
        outcome = self._script.spoil(step, request, reply)
        return [(LATENCY_S + outcome.delay_ms / 1000, outcome.frame)] if outcome.frame else []
