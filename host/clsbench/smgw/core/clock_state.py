"""The gateway's legal time: its state, and how answers of the time server move it.

The clock holds an interval in which UTC lies. Between answers it grows with the oscillator's
stated drift; an answer can only narrow it. From 27 s on a reading may not be billed.
Pure: the caller brings the oscillator's nanoseconds.
Sources: 3 % of the registration period counts as valid for billing (27 s of 900 s); status
"deviation > 3 %" of Detailspezifikationen 2.0 section 9.3.6; jumps above 1000 s are ignored
while synchronised (section 14.3.2); RFC 5905 (up to 128 ms are slewed at 500 ppm).
"""

from dataclasses import dataclass
from typing import Protocol

from clsbench.smgw.core.ntp import JUMP, AnswerIgnored, Sample

UNSET = "unset"
SYNCHRONISED = "synchronised"
HOLDOVER = "holdover"
MAX_DEVIATION_MS = 27_000  # 3 % of a registration period of 900 s
MAX_JUMP_NS = 1000 * 10**9
SLEW_MAX_NS = 128_000_000
SLEW_PPM = 500
DEFAULT_DRIFT_PPM = 50

# what an answer did
SET = "set"  # the first one, or the first after holdover that contradicted
NARROWED = "narrowed"
NO_BETTER = "no better"
DOUBTED = "doubted"  # contradicts; the next one decides
STEPPED = "stepped"

_MS = 1_000_000
_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class TimeState:
    """The gateway's legal time.

    state: unset, synchronised (bound below 27 s) or holdover (bound grown past it); bound_ms:
    how far the clock may be off, None while unset.
    """

    state: str = SYNCHRONISED
    bound_ms: int | None = 0

    @property
    def valid(self) -> bool:
        """True when a reading made now may be billed."""
        known = self.bound_ms is not None and self.bound_ms < MAX_DEVIATION_MS
        return self.state == SYNCHRONISED and known


class TimeSource(Protocol):
    """Who knows the state of legal time: now, and of a stamp given earlier."""

    def time_state(self) -> TimeState:
        """State and bound now."""
        ...

    def state_of_stamp(self, stamp_ms: int) -> TimeState:
        """State that a stamp of the gateway's clock deserves (UTC milliseconds)."""
        ...


@dataclass(frozen=True, slots=True)
class FixedTime:
    """Legal time whose state never changes."""

    state: TimeState = TimeState()

    def time_state(self) -> TimeState:
        """The state."""
        return self.state

    def state_of_stamp(self, stamp_ms: int) -> TimeState:
        """The state, whenever the stamp was given."""
        return self.state


@dataclass(frozen=True, slots=True)
class Learned:
    """What an answer did to the clock. outcome: SET to STEPPED; correction_ns: how far the time
    shown moves, at once or slewed."""

    outcome: str
    correction_ns: int = 0


class LegalClock:
    """Legal time on an oscillator of at most `drift_ppm`.

    steps: how often the time shown jumped; valid_from_ns: UTC of the last such jump, before
    which no stamp of this clock means anything (None while unset).
    """

    def __init__(self, drift_ppm: int = DEFAULT_DRIFT_PPM):
        self.steps = 0
        self.valid_from_ns: int | None = None
        self._drift_ppm = drift_ppm
        self._held: Sample | None = None
        self._slew_ns = 0  # estimate less what is shown, still to be worked off
        self._doubted: Sample | None = None

    def learn(self, sample: Sample) -> Learned:
        """Takes what an answer says. Raises AnswerIgnored for a jump while synchronised."""
        at = sample.at_ns
        if self._held is None:
            return self._jump(sample, SET)
        estimate, own = self._estimate(at), self._spread(at)
        difference = sample.utc_ns - estimate
        synchronised = self.state(at).state == SYNCHRONISED
        if synchronised and abs(difference) > MAX_JUMP_NS:
            text = f"{difference / 1e9:.0f} s from a synchronised clock, at most 1000 s count"
            raise AnswerIgnored(JUMP, text)
        low = max(estimate - own, sample.utc_ns - sample.bound_ns)
        high = min(estimate + own, sample.utc_ns + sample.bound_ns)
        if low > high:
            return self._contradicted(sample, synchronised)
        self._doubted = None
        if high - low >= 2 * own:
            return Learned(NO_BETTER)
        return self._narrow(Sample(at, (low + high) // 2, -(-(high - low) // 2)))

    def utc_ns(self, at_ns: int) -> int:
        """UTC as shown at that instant of the oscillator; what the oscillator says while unset."""
        return at_ns if self._held is None else self._estimate(at_ns) - self._left(at_ns)

    def state(self, at_ns: int) -> TimeState:
        """State and bound at that instant."""
        if self._held is None:
            return TimeState(UNSET, None)
        bound_ms = -(-(self._spread(at_ns) + abs(self._left(at_ns))) // _MS)
        return TimeState(SYNCHRONISED if bound_ms < MAX_DEVIATION_MS else HOLDOVER, bound_ms)

    def state_of_stamp(self, stamp_ms: int, at_ns: int) -> TimeState:
        """State that a stamp deserves which this clock gave and which is judged at `at_ns`.

        One from before the last jump is worth no more than one of an unset clock.
        """
        state = self.state(at_ns)
        if self.valid_from_ns is None or state.bound_ms is None:
            return state
        newest_ms = self.utc_ns(at_ns) // _MS + state.bound_ms
        if self.valid_from_ns // _MS <= stamp_ms <= newest_ms:
            return state
        return TimeState(UNSET, None)

    def _contradicted(self, sample: Sample, synchronised: bool) -> Learned:
        doubted, self._doubted = self._doubted, sample
        if synchronised and (doubted is None or not self._agree(doubted, sample)):
            return Learned(DOUBTED)
        return self._jump(sample, STEPPED if synchronised else SET)

    def _agree(self, one: Sample, other: Sample) -> bool:
        span = other.at_ns - one.at_ns
        slack = one.bound_ns + other.bound_ns + abs(span) * self._drift_ppm // _PPM + _MS
        return abs(other.utc_ns - one.utc_ns - span) <= slack

    def _jump(self, sample: Sample, outcome: str) -> Learned:
        correction = sample.utc_ns - self.utc_ns(sample.at_ns)
        self._held, self._slew_ns, self._doubted = sample, 0, None
        self.steps += 1
        self.valid_from_ns = sample.utc_ns
        return Learned(outcome, correction)

    def _narrow(self, better: Sample) -> Learned:
        correction = better.utc_ns - self.utc_ns(better.at_ns)
        self._held = better
        if abs(correction) <= SLEW_MAX_NS:
            self._slew_ns = correction
        else:  # within what the bound said all along: no stamp becomes worthless
            self._slew_ns = 0
        return Learned(NARROWED, correction)

    def _estimate(self, at_ns: int) -> int:
        assert self._held is not None
        return self._held.utc_ns + at_ns - self._held.at_ns

    def _spread(self, at_ns: int) -> int:
        assert self._held is not None
        age = abs(at_ns - self._held.at_ns)
        return self._held.bound_ns - (-age * self._drift_ppm // _PPM)  # rounded up: it is a bound

    def _left(self, at_ns: int) -> int:
        assert self._held is not None
        done = max(0, at_ns - self._held.at_ns) * SLEW_PPM // _PPM
        left = max(0, abs(self._slew_ns) - done)
        return left if self._slew_ns > 0 else -left
