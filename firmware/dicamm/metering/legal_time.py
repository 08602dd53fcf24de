"""Legal time on the device: UTC milliseconds with a state and a bound of deviation.

Pure: the caller brings monotonic milliseconds and what the gateway said. The bound grows
with the crystal's stated drift from one synchronisation to the next.

Rules: detail specification to TR-03109-1, chapter 14: an answer that took longer than 9 s is
ignored. A deviation below 3 % of the registration period (27 s at 900 s) is valid for billing.
"""

UNSET = 0
SYNCHRONISED = 1
HOLDOVER = 2

MAX_ROUND_TRIP_MS = 9000
MAX_BOUND_MS = 27000
LAST_UTC_MS = 253402300799999  # the end of the year 9999


def is_utc_ms(value):
    """True for an integer that can be UTC in milliseconds, or a span of it, from outside."""
    return type(value) is int and 0 <= value <= LAST_UTC_MS


class LegalTime:
    """drift_ppm: stated worst drift of the board's crystal, parts per million."""

    def __init__(self, drift_ppm=50):
        self._drift_ppm = drift_ppm
        self._offset_ms = None
        self._bound_ms = 0
        self._set_at_ms = 0
        self.ignored = 0  # answers that took too long or were no better than what is known

    def learn(self, server_utc_ms, server_bound_ms, sent_mono_ms, received_mono_ms):
        """Takes an answer of the gateway.

        server_utc_ms: its UTC at the moment of answering; server_bound_ms: how far that may be
        off; sent, received: our monotonic times around the exchange. Returns the step in ms
        (0 at the first time), or None when the answer was ignored.
        """
        round_trip = received_mono_ms - sent_mono_ms
        if round_trip < 0 or round_trip > MAX_ROUND_TRIP_MS:
            self.ignored += 1
            return None
        bound = server_bound_ms + (round_trip + 1) // 2
        if self._offset_ms is not None and bound > self.bound_ms(received_mono_ms):
            self.ignored += 1  # a slow answer must not worsen what is known
            return None
        offset = server_utc_ms - (sent_mono_ms + received_mono_ms) // 2
        step = 0 if self._offset_ms is None else offset - self._offset_ms
        self._offset_ms = offset
        self._bound_ms = bound
        self._set_at_ms = received_mono_ms
        return step

    def utc_ms(self, mono_ms):
        """UTC of a monotonic instant (also one before the first synchronisation), or None."""
        if self._offset_ms is None:
            return None
        return mono_ms + self._offset_ms

    def bound_ms(self, mono_ms):
        """How far `utc_ms` may be off at that instant, or None while time is unset."""
        if self._offset_ms is None:
            return None
        age = abs(mono_ms - self._set_at_ms)
        return self._bound_ms - (-age * self._drift_ppm // 1000000)  # rounded up: it is a bound

    def state(self, mono_ms):
        """UNSET, SYNCHRONISED (bound below MAX_BOUND_MS) or HOLDOVER."""
        bound = self.bound_ms(mono_ms)
        if bound is None:
            return UNSET
        return SYNCHRONISED if bound < MAX_BOUND_MS else HOLDOVER
