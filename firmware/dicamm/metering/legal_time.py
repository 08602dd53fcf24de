"""Legal time on the device: UTC milliseconds with a state and a bound of deviation.

Pure: the caller brings monotonic milliseconds and what the gateway said. Each answer is an
interval in which UTC lay, and so is what the clock holds: what both allow is kept, so an answer
can only narrow the bound. Between answers the bound grows with the crystal's stated drift, or,
once the drift was measured, with what stays unsure of it.

Rules: detail specification to TR-03109-1, chapter 14: an answer that took longer than 9 s is
ignored. A deviation below 3 % of the registration period (27 s at 900 s) is valid for billing.
RFC 5905: corrections up to 128 ms are slewed at 500 ppm, larger ones stepped. An answer that
contradicts what the clock holds steps it only when the next one says the same.
"""

UNSET = 0
SYNCHRONISED = 1
HOLDOVER = 2

MAX_ROUND_TRIP_MS = 9000
MAX_BOUND_MS = 27000
LAST_UTC_MS = 253402300799999  # the end of the year 9999
SLEW_MAX_MS = 128
SLEW_PPM = 500
DRIFT_WINDOW_MS = 86400000  # the drift is measured anew over each such span


def is_utc_ms(value):
    """True for an integer that can be UTC in milliseconds, or a span of it, from outside."""
    return type(value) is int and 0 <= value <= LAST_UTC_MS


class LegalTime:
    """drift_ppm: stated worst drift of the board's crystal, parts per million. Two fifths of it
    count as what temperature may change after it was measured.

    `drift_ppb`: what UTC gains on the crystal, as measured. `ignored`: answers not taken;
    `steps`: how often the clock was found wrong by more than its bound, and set anew.
    """

    def __init__(self, drift_ppm=50):
        self._stated_ppm = drift_ppm
        self._growth_ppm = drift_ppm
        self.drift_ppb = 0
        self._at_ms = None  # monotonic instant of the four below
        self._utc_ms = 0
        self._bound_ms = 0
        self._slew_ms = 0  # UTC less what is shown, still to be worked off
        self._anchor = (0, 0, 0)  # (monotonic, UTC, bound) where the span of drift begins
        self._doubt = None  # the same of an answer that contradicted
        self.ignored = 0
        self.steps = 0

    def learn(self, server_utc_ms, server_bound_ms, sent_mono_ms, received_mono_ms, sure=False):
        """Takes an answer of the gateway.

        server_utc_ms: its UTC at the moment of answering; server_bound_ms: how far that may be
        off; sent, received: our monotonic times around the exchange. sure: a contradiction
        needs no second answer (a person sets the clock). Returns the correction in ms (0 at the
        first time), or None when the answer was ignored.
        """
        round_trip = received_mono_ms - sent_mono_ms
        if not 0 <= round_trip <= MAX_ROUND_TRIP_MS:
            self.ignored += 1
            return None
        bound = server_bound_ms + (round_trip + 1) // 2 + 1  # one: both count whole milliseconds
        at_ms = (sent_mono_ms + received_mono_ms) // 2
        answer = (at_ms, server_utc_ms, bound)
        if self._at_ms is None:
            return self._start(answer, server_utc_ms)
        shown = self.utc_ms(at_ms)
        own = self._spread_ms(at_ms)
        estimate = self._estimate_ms(at_ms)
        low = max(estimate - own, server_utc_ms - bound)
        high = min(estimate + own, server_utc_ms + bound)
        if low > high:
            if not (sure or self._confirms(answer)):
                self._doubt = answer
                self.ignored += 1
                return None
            self.steps += 1
            return self._start(answer, shown)
        self._doubt = None
        if high - low == 2 * own:
            self.ignored += 1  # no better than what is known
            return None
        self._measure_drift(answer)
        return self._set(at_ms, (low + high) // 2, (high - low + 1) // 2, shown)

    def utc_ms(self, mono_ms):
        """UTC of a monotonic instant (also one before the first synchronisation), or None. Does
        not run backwards between two answers."""
        if self._at_ms is None:
            return None
        return self._estimate_ms(mono_ms) - self._left_ms(mono_ms)

    def bound_ms(self, mono_ms):
        """How far `utc_ms` may be off at that instant, or None while time is unset."""
        if self._at_ms is None:
            return None
        return self._spread_ms(mono_ms) + abs(self._left_ms(mono_ms))

    def state(self, mono_ms):
        """UNSET, SYNCHRONISED (bound below MAX_BOUND_MS) or HOLDOVER."""
        bound = self.bound_ms(mono_ms)
        if bound is None:
            return UNSET
        return SYNCHRONISED if bound < MAX_BOUND_MS else HOLDOVER

    # -- inside

    def _estimate_ms(self, mono_ms):
        age = mono_ms - self._at_ms
        return self._utc_ms + age + age * self.drift_ppb // 1000000000

    def _spread_ms(self, mono_ms):
        age = abs(mono_ms - self._at_ms)
        return self._bound_ms - (-age * self._growth_ppm // 1000000)  # rounded up: it is a bound

    def _left_ms(self, mono_ms):
        """What of the slew is not worked off yet."""
        done = max(0, mono_ms - self._at_ms) * SLEW_PPM // 1000000
        left = max(0, abs(self._slew_ms) - done)
        return left if self._slew_ms > 0 else -left

    def _start(self, answer, shown):
        """Begins anew with this answer alone."""
        self._anchor = answer
        self._doubt = None
        self.drift_ppb = 0
        self._growth_ppm = self._stated_ppm
        return self._set(answer[0], answer[1], answer[2], shown)

    def _set(self, at_ms, utc_ms, bound_ms, shown):
        correction = utc_ms - shown
        self._at_ms = at_ms
        self._utc_ms = utc_ms
        self._bound_ms = bound_ms
        self._slew_ms = correction
        if abs(correction) > SLEW_MAX_MS:
            self._slew_ms = 0
        return correction

    def _confirms(self, answer):
        """Whether the answer says what the doubted one said."""
        if self._doubt is None:
            return False
        at_ms, utc_ms, bound = self._doubt
        span = answer[0] - at_ms
        slack = bound + answer[2] + abs(span) * self._stated_ppm // 1000000 + 1
        return abs(answer[1] - utc_ms - span) <= slack

    def _measure_drift(self, answer):
        at_ms, utc_ms, bound = self._anchor
        span = answer[0] - at_ms
        if span <= 0:
            return
        growth = -(-(bound + answer[2]) * 1000000 // span) + self._stated_ppm * 2 // 5
        whole = span >= DRIFT_WINDOW_MS
        if growth < self._growth_ppm or (whole and growth < self._stated_ppm):
            most = self._stated_ppm * 1000
            drift = (answer[1] - utc_ms - span) * 1000000000 // span
            self.drift_ppb = max(-most, min(most, drift))
            self._growth_ppm = growth
        if whole:
            self._anchor = answer
