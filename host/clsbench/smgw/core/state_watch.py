"""TAF9 and TAF10: when a register passes a threshold.

The first reading says on which side it stands and passes nothing. Knows readings only; cyclic
delivery is `grid`'s, on demand is whoever asks.
Source: BSI TR-03109-1 (TAF9 actual feed-in, TAF10 state of the grid).
"""

from clsbench.smgw.core.evaluation import TafProfile, Threshold
from clsbench.smgw.core.readings import OriginalReading


class StateWatch:
    """The thresholds of one profile."""

    def __init__(self, taf: TafProfile):
        self.taf = taf
        self._above: dict[Threshold, bool] = {}

    def take(self, reading: OriginalReading) -> list[Threshold]:
        """The thresholds that this reading passed, up or down."""
        return [threshold for threshold in self.taf.thresholds if self._passed(threshold, reading)]

    def _passed(self, threshold: Threshold, reading: OriginalReading) -> bool:
        value = next((v for v in reading.values if v.obis == threshold.obis), None)
        if value is None:
            return False
        scaler = min(value.scaler, threshold.scaler)
        have = value.raw * 10 ** (value.scaler - scaler)
        limit = threshold.limit * 10 ** (threshold.scaler - scaler)
        margin = threshold.hysteresis * 10 ** (threshold.scaler - scaler)
        was = self._above.get(threshold)
        above = have > (limit - margin if was else limit)
        self._above[threshold] = above
        return was is not None and above != was
