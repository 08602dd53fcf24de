"""A meter's seconds index beside the gateway's clock.

Knows numbers only. An index that runs backwards means that the meter began anew or was changed;
one that gains or loses means that its clock, or the gateway's, is wrong.
Source: BSI Detailspezifikationen 2.0 (seconds index; "decremented timestamp"). The tolerance is
ours: what a meter counts in whole seconds, and a clock of 0.5 %.
"""

SLACK_MS = 2500
DRIFT_PER_MILLE = 5

BACKWARDS = "seconds index runs backwards"
DRIFTING = "seconds index and gateway clock drift apart"


class SecondsWatch:
    """Judges one meter's index. trouble: BACKWARDS, DRIFTING, or "" while all is well."""

    def __init__(self) -> None:
        self.trouble = ""
        self.drift_ms = 0
        self._first: tuple[int, int] | None = None  # (index, captured_ms) where counting began
        self._last = 0

    def take(self, index: int, captured_ms: int) -> bool:
        """True when `trouble` has changed with this telegram."""
        before, self.trouble = self.trouble, ""
        if self._first is not None and index < self._last:
            self.trouble = BACKWARDS
            self._first = None
        if self._first is None:
            self._first = (index, captured_ms)
        self._last = index
        elapsed_ms = captured_ms - self._first[1]
        self.drift_ms = (index - self._first[0]) * 1000 - elapsed_ms
        if abs(self.drift_ms) > SLACK_MS + abs(elapsed_ms) * DRIFT_PER_MILLE // 1000:
            self.trouble = DRIFTING
        return self.trouble != before
