"""The clock a gateway runs on: an oscillator of its own, and legal time kept on it.

Either legal time is what the configuration claims, and the bench's clock stands for it; or the
oscillator starts off and drifts as the configuration says, and the time server's answers
correct it (`core.clock_state`). All parts of a gateway stamp with this clock; the bench's event
log does not, it has the bench's own.
"""

import time

from clsbench.clock import BenchClock
from clsbench.smgw.core.clock_state import UNSET, LegalClock, TimeState

_MS = 1_000_000


class GatewayClock(BenchClock):
    """bench: true time. fixed: the state claimed; None: kept by answers, with `legal`.

    offset_ms, drift_ppm: what the simulated oscillator is off, and gains on true time.
    """

    def __init__(
        self,
        bench: BenchClock,
        fixed: TimeState | None = None,
        legal: LegalClock | None = None,
        offset_ms: int = 0,
        drift_ppm: int = 0,
    ):
        super().__init__(bench.speed, bench.utc_ms, bench.mono_ns)
        self.legal = legal or LegalClock()
        self._fixed = fixed
        self._offset_ns = offset_ms * _MS
        self._drift_ppm = drift_ppm

    def ns_at(self, mono_ns: int) -> int:
        """Legal time as this gateway has it, at such an instant of time.monotonic_ns()."""
        own = self.oscillator_ns(mono_ns)
        return own if self._fixed is not None else self.legal.utc_ns(own)

    def oscillator_ns(self, mono_ns: int | None = None) -> int:
        """What the oscillator says, now or at that instant of time.monotonic_ns()."""
        true_ns = super().ns_at(time.monotonic_ns() if mono_ns is None else mono_ns)
        gained = (true_ns - self.utc_ms * _MS) * self._drift_ppm // 1_000_000
        return true_ns + self._offset_ns + gained

    @property
    def is_set(self) -> bool:
        """False until the first answer: no due time can be told then."""
        return self._fixed is not None or self.time_state().state != UNSET

    def time_state(self) -> TimeState:
        """State and bound now."""
        if self._fixed is not None:
            return self._fixed
        return self.legal.state(self.oscillator_ns())

    def state_of_stamp(self, stamp_ms: int) -> TimeState:
        """State that a stamp deserves which this clock gave: none from before it jumped counts."""
        if self._fixed is not None:
            return self._fixed
        return self.legal.state_of_stamp(stamp_ms, self.oscillator_ns())
